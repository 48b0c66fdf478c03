package e2e_test

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http/httptest"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// letter is a parsed mail.
type letter struct {
	At         time.Time
	From       string
	To         []string
	Subject    string
	Text, HTML string
	Raw        []byte
}

// mailSink is a mail server that delivers into memory.
type mailSink struct {
	inbox[letter]

	addr string
	ca   string // the certificate that the server shows, PEM
}

// What the mail server wants to be told.
const (
	mailUser     = "aispend"
	mailPassword = "mail-password-of-the-e2e-tests"
	onCall       = "oncall@example.com"
)

// newMailSink starts a mail server. A strict one wants STARTTLS and a login; the
// other is as lenient as a mail catcher.
func newMailSink(t *testing.T, strict bool) *mailSink {
	t.Helper()
	s := &mailSink{}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		if !strict {
			return &mailSession{sink: s}, nil
		}
		return &loginSession{mailSession: mailSession{sink: s, refuse: true}}, nil
	}))
	server.Domain = "localhost"
	if strict {
		certified := httptest.NewTLSServer(nil) // for its certificate, which is good for 127.0.0.1
		certified.Close()
		server.TLSConfig = &tls.Config{Certificates: certified.TLS.Certificates}
		s.ca = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certified.Certificate().Raw}))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = listener.Addr().String()
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-done; err != nil && !errors.Is(err, smtp.ErrServerClosed) {
			t.Errorf("mail server: %v", err)
		}
	})
	return s
}

// mailSession is one connection.
type mailSession struct {
	sink   *mailSink
	refuse bool // until there was a login
	from   string
	to     []string
}

func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	if s.refuse {
		return smtp.ErrAuthRequired
	}
	s.from = from
	return nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error { s.to = append(s.to, to); return nil }
func (s *mailSession) Reset()                                    { s.from, s.to = "", nil }
func (s *mailSession) Logout() error                             { return nil }

// loginSession is a connection that can log in; go-smtp offers it after STARTTLS.
type loginSession struct{ mailSession }

func (s *loginSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *loginSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != mailUser || password != mailPassword {
			return smtp.ErrAuthFailed
		}
		s.refuse = false
		return nil
	}), nil
}

func (s *mailSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	l, err := parseLetter(raw)
	if err != nil {
		s.sink.complain("mail: %v", err)
	}
	l.At, l.From, l.To = time.Now(), s.from, s.to
	s.sink.add(l)
	return nil
}

// parseLetter reads the subject and the two forms of the text.
func parseLetter(raw []byte) (letter, error) {
	l := letter{Raw: raw}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return l, err
	}
	if l.Subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		return l, err
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return l, err
	}
	if kind != "multipart/alternative" {
		return l, errors.New("content type " + kind + ": a mail needs a text and an HTML form")
	}
	for parts := multipart.NewReader(m.Body, params["boundary"]); ; {
		part, err := parts.NextPart() // decodes quoted-printable
		if errors.Is(err, io.EOF) {
			return l, l.check()
		}
		if err != nil {
			return l, err
		}
		text, err := io.ReadAll(part)
		if err != nil {
			return l, err
		}
		switch kind := part.Header.Get("Content-Type"); {
		case strings.HasPrefix(kind, "text/plain"):
			l.Text = string(text)
		case strings.HasPrefix(kind, "text/html"):
			l.HTML = string(text)
		default:
			return l, errors.New("unexpected part " + kind)
		}
	}
}

func (l letter) check() error {
	if strings.TrimSpace(l.Subject) == "" || strings.TrimSpace(l.Text) == "" || strings.TrimSpace(l.HTML) == "" {
		return errors.New("subject, text or HTML form is missing")
	}
	return nil
}
