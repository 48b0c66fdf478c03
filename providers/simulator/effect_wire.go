package simulator

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Reset breaks the connection without an answer.
func Reset() Effect {
	return Effect{name: "reset", before: func(x *exchange) bool {
		conn := x.hijack()
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // close with RST
		}
		_ = conn.Close()
		return true
	}}
}

// Hang never answers; it ends when the client or the server gives up.
func Hang() Effect {
	return Effect{name: "hang", before: func(x *exchange) bool {
		<-x.r.Context().Done()
		panic(http.ErrAbortHandler)
	}}
}

// SlowLoris sends the headers at once and then a byte of the body per interval.
func SlowLoris(every time.Duration) Effect {
	return Effect{name: "slow loris", send: func(x *exchange, body []byte) bool {
		x.w.Header().Set("Content-Type", "application/json")
		x.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		x.w.WriteHeader(http.StatusOK)
		flush := http.NewResponseController(x.w)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for i := range body {
			if _, err := x.w.Write(body[i : i+1]); err != nil {
				return true
			}
			_ = flush.Flush() // not every writer can
			select {
			case <-tick.C:
			case <-x.r.Context().Done():
				panic(http.ErrAbortHandler)
			}
		}
		return true
	}}
}

// TruncatedJSON sends half of the document in an answer that is complete as HTTP.
func TruncatedJSON() Effect {
	return Effect{name: "truncated json", body: func(b []byte) []byte { return b[:len(b)/2] }}
}

// TrailingGarbage sends more after the document.
func TrailingGarbage(garbage string) Effect {
	return Effect{name: "trailing garbage", body: func(b []byte) []byte { return append(b, garbage...) }}
}

// ShortBody promises the whole body in Content-Length and sends half of it.
func ShortBody() Effect {
	return Effect{name: "short body", send: func(x *exchange, body []byte) bool {
		x.raw("Content-Length: "+strconv.Itoa(len(body)), body[:len(body)/2])
		return true
	}}
}

// CloseTruncated sends half of the body, delimited by the end of the connection
// alone: HTTP cannot tell that something is missing.
func CloseTruncated() Effect {
	return Effect{name: "truncated by close", send: func(x *exchange, body []byte) bool {
		x.raw("Connection: close", body[:len(body)/2])
		return true
	}}
}

// HugeBody sends n bytes of white space inside an otherwise good document.
func HugeBody(n int64) Effect {
	return Effect{name: "huge body", send: func(x *exchange, body []byte) bool {
		x.w.Header().Set("Content-Type", "application/json")
		x.w.WriteHeader(http.StatusOK)
		writeBlown(x.w, body, n)
		return true
	}}
}

// GzipBomb sends the same as HugeBody, compressed to a thousandth.
func GzipBomb(n int64) Effect {
	return Effect{name: "gzip bomb", send: func(x *exchange, body []byte) bool {
		x.w.Header().Set("Content-Type", "application/json")
		x.w.Header().Set("Content-Encoding", "gzip")
		x.w.WriteHeader(http.StatusOK)
		z := gzip.NewWriter(x.w)
		writeBlown(z, body, n)
		_ = z.Close() // the client may be gone
		return true
	}}
}

// writeBlown writes a JSON object with n blanks after its opening brace.
func writeBlown(w io.Writer, body []byte, n int64) {
	if _, err := w.Write(body[:1]); err != nil {
		return
	}
	chunk := bytes.Repeat([]byte{' '}, 1<<16)
	for n > 0 {
		k := min(n, int64(len(chunk)))
		if _, err := w.Write(chunk[:k]); err != nil {
			return // the client had enough
		}
		n -= k
	}
	_, _ = w.Write(body[1:])
}

// hijack takes the connection over. A writer that has none to give aborts the
// request, which is the nearest thing.
func (x *exchange) hijack() net.Conn {
	conn, buf, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_ = buf.Flush() // nothing is in it yet
	return conn
}

// raw writes a 200 answer by hand, with one framing header and the headers set so
// far, and closes the connection.
func (x *exchange) raw(framing string, body []byte) {
	head := x.w.Header().Clone()
	head.Set("Content-Type", "application/json")
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 200 OK\r\n%s\r\n", framing)
	_ = head.Write(&b) // a buffer does not fail
	b.WriteString("\r\n")
	b.Write(body)
	conn := x.hijack()
	_, _ = conn.Write(b.Bytes()) // the client may be gone
	_ = conn.Close()
}
