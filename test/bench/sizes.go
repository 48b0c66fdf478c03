package main

import "time"

// sizes say how much each section does.
type sizes struct {
	rounds int // of each contender, in turn; figures are medians

	series []int // on the page, about

	pullDays, pullWeight int // of one walk; weight multiplies the simulator's rows

	accounts, accountDays int // replay: one page per account and day

	durablePulls int // rounds of the durable pull

	startBytes  int64 // on disk
	startRounds int

	idlePages int
	idleAfter time.Duration

	diskRetention, diskPulls, diskPages int // days; pulls per day; pages per pull

	ledgerDays, ledgerRows int // statements of a daemon's ledger
}

func fullSizes() sizes {
	return sizes{
		rounds: 5,
		series: []int{1_000, 10_000, 100_000},

		pullDays: 6 * 31, pullWeight: 12,
		accounts: 20, accountDays: 300,
		durablePulls: 40,
		startBytes:   1 << 30, startRounds: 5,
		idlePages: 20_000, idleAfter: 30 * time.Second,
		diskRetention: 10, diskPulls: 20, diskPages: 30,
		ledgerDays: 180, ledgerRows: 200,
	}
}

func quickSizes() sizes {
	s := fullSizes()
	s.rounds = 3
	s.pullDays = 3 * 31
	s.accounts, s.accountDays = 5, 120
	s.durablePulls = 10
	s.startBytes, s.startRounds = 100<<20, 3
	s.idlePages, s.idleAfter = 4_000, 10*time.Second
	s.diskPulls, s.diskPages = 6, 20
	s.ledgerDays = 90
	return s
}
