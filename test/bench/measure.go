package main

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"syscall"
	"time"
)

// contender is one way to do the work of a section.
type contender struct {
	name string
	// times is how often do runs per round, 0 for once; figures are per run.
	times int
	// before, if set, prepares a round outside the measurement.
	before func() error
	do     func() error
}

// figures is what one run cost. CPU is that of the whole process, the garbage
// collector's included.
type figures struct {
	cpu, wall time.Duration
	allocs    float64 // objects
	allocated float64 // bytes
	peak      float64 // bytes of live heap objects, only where it was watched
}

// rounds says how contenders are measured.
type rounds struct {
	n         int
	watchHeap bool // look at the heap every millisecond: costs CPU
}

// inTurn runs every contender once per round and returns the medians, in the
// order of the contenders. One more round before that is warm-up.
func (r rounds) inTurn(contenders ...contender) ([]figures, error) {
	all := make([][]figures, len(contenders))
	for round := range r.n + 1 {
		for i, c := range contenders {
			f, err := r.measure(c)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			if round > 0 {
				all[i] = append(all[i], f)
			}
		}
	}
	out := make([]figures, len(contenders))
	for i, runs := range all {
		out[i] = figures{
			cpu:       medianOf(runs, func(f figures) time.Duration { return f.cpu }),
			wall:      medianOf(runs, func(f figures) time.Duration { return f.wall }),
			allocs:    medianOf(runs, func(f figures) float64 { return f.allocs }),
			allocated: medianOf(runs, func(f figures) float64 { return f.allocated }),
			peak:      medianOf(runs, func(f figures) float64 { return f.peak }),
		}
	}
	return out, nil
}

// measure runs a contender with a heap that no other has left garbage in.
func (r rounds) measure(c contender) (figures, error) {
	if c.before != nil {
		if err := c.before(); err != nil {
			return figures{}, err
		}
	}
	debug.FreeOSMemory() // a collection too
	var peak func() float64
	if r.watchHeap {
		peak = watchHeap()
	}
	times := max(c.times, 1)
	objects, bytes := allocated()
	began, cpuBegan := time.Now(), cpuTime()
	var err error
	for range times {
		if err = c.do(); err != nil {
			break
		}
	}
	f := figures{cpu: cpuTime() - cpuBegan, wall: time.Since(began)}
	objectsNow, bytesNow := allocated()
	f.allocs, f.allocated = objectsNow-objects, bytesNow-bytes
	if peak != nil {
		f.peak = peak()
	}
	n := time.Duration(times)
	f.cpu, f.wall, f.allocs, f.allocated = f.cpu/n, f.wall/n, f.allocs/float64(n), f.allocated/float64(n)
	return f, err
}

// cpuTime is the CPU time of this process so far, in user and kernel mode: the
// unit that a busy machine disturbs least.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // it cannot fail for this process
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// allocated returns the objects and bytes allocated so far.
func allocated() (objects, bytes float64) {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return float64(s[0].Value.Uint64()), float64(s[1].Value.Uint64())
}

// watchHeap looks at the heap every millisecond until the returned function is
// called, which returns the most it has seen.
func watchHeap() func() float64 {
	stop, most := make(chan struct{}), make(chan uint64)
	go func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		var peak uint64
		for {
			metrics.Read(s)
			peak = max(peak, s[0].Value.Uint64())
			select {
			case <-tick.C:
			case <-stop:
				most <- peak
				return
			}
		}
	}()
	return func() float64 {
		close(stop)
		return float64(<-most)
	}
}

func medianOf[T cmp.Ordered](runs []figures, of func(figures) T) T {
	values := make([]T, len(runs))
	for i, f := range runs {
		values[i] = of(f)
	}
	return median(values)
}

// median returns the middle value, the lower of the two middle ones of an even
// number, and the zero value of none.
func median[T cmp.Ordered](values []T) T {
	var zero T
	if len(values) == 0 {
		return zero
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}
