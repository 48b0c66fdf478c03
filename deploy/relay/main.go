// Command relay passes TCP connections on to an address on loopback. `aispend demo`
// listens on loopback only; in the demo stack that is the loopback of a container,
// which no published port reaches. The relay runs in the same network namespace and
// is what the port of the host leads to.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

const (
	maxConns    = 128
	dialTimeout = 5 * time.Second
)

func main() {
	listen := flag.String("listen", ":10100", "address to listen on")
	to := flag.String("to", "127.0.0.1:10099", "address on loopback to pass connections on to")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, *to); err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1) //nolint:forbidigo // this is a command
	}
}

func run(ctx context.Context, listen, to string) error {
	target, err := netip.ParseAddrPort(to)
	if err != nil || !target.Addr().IsLoopback() {
		return fmt.Errorf("-to=%s: not an address on loopback such as 127.0.0.1:10099", to)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	return relay(ctx, l, to)
}

// relay accepts connections until ctx ends, and returns when the last one is over.
func relay(ctx context.Context, l net.Listener, to string) error {
	var all sync.WaitGroup
	defer all.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	context.AfterFunc(ctx, func() { _ = l.Close() })
	free := make(chan struct{}, maxConns)
	for {
		in, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accepting a connection: %w", err)
		}
		select {
		case free <- struct{}{}:
		default: // enough for one person's browser
			_ = in.Close()
			continue
		}
		all.Go(func() {
			defer func() { <-free }()
			pass(ctx, in, to)
		})
	}
}

// pass copies both ways until both sides have ended, or ctx has.
func pass(ctx context.Context, in net.Conn, to string) {
	defer func() { _ = in.Close() }()
	out, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", to)
	if err != nil {
		return // the daemon is not up: the client sees a closed connection
	}
	defer func() { _ = out.Close() }()
	defer context.AfterFunc(ctx, func() { _, _ = in.Close(), out.Close() })()
	var both sync.WaitGroup
	both.Go(func() { oneWay(out, in) })
	both.Go(func() { oneWay(in, out) })
	both.Wait()
}

// oneWay copies and then says that nothing more comes.
func oneWay(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	if c, ok := to.(*net.TCPConn); ok {
		_ = c.CloseWrite()
	}
}
