package spend

import "time"

// SourceStatus is how one configured source stands right now. It is a copy:
// whoever receives one owns it.
type SourceStatus struct {
	ID           SourceID
	Interval     time.Duration
	MaxStaleness time.Duration
	Enabled      bool
	Usage        bool          // it reports work and never money, so it feeds no cap
	Lag          time.Duration // how far behind the present the provider's data normally is
	// Budgets are what a source of budgets knows, ascending by name. BudgetOnly is set if
	// they are all that is known of the account's spend: no other source bills it.
	// Counted is the ID of the budget that the operator lets caps count, empty if none.
	Budgets      []Budget
	BudgetSource bool
	BudgetOnly   bool
	Counted      string
	NoSpend      bool      // it tells of budgets and has no way to learn what is spent
	Up           bool      // the newest pull and the newest of the present were applied, or held
	Pulling      bool      // a pull is running now
	LastSuccess  time.Time // end of the newest applied pull; stands still while the present fails
	LastApplied  time.Time // start of the newest applied walk that reached the present: its answer is no older
	DataThrough  time.Time // contract section 2; zero before the first applied walk
	Held         bool
	LastOutcome  Outcome // empty before the first pull ended
	LastError    string  // redacted: why the present fails, else the newest failure of older days
	LastErrorAt  time.Time
	NextPull     time.Time
	CoveredFrom  Day // first day of the unbroken history; 0 before the first pull
	HistoryGoal  Day // first day the initial load reaches back to
	HistoryDone  bool
	PagesPulled  int // pages of the running pull so far
	PullWindow   Window
}
