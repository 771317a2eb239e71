package faults

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

const patience = 60 * time.Second

// echo is a server that answers with what it hears, behind a proxy.
func echo(t *testing.T) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); _, _ = io.Copy(conn, conn) }()
		}
	}()
	p, err := NewProxy("127.0.1.7:0", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func dialProxy(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func say(t *testing.T, conn net.Conn, words string) {
	t.Helper()
	if _, err := io.WriteString(conn, words); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, conn net.Conn, words string) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	got := make([]byte, len(words))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != words {
		t.Fatalf("heard %q, %v, instead of %q", got, err, words)
	}
}

func silence(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%d bytes and %v instead of silence", n, err)
	}
}

func ended(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%v instead of the end", err)
	}
}

// refused demands that a new connection is reset, maybe while it is made.
func refused(t *testing.T, p *Proxy) {
	t.Helper()
	if conn, err := net.Dial("tcp", p.Address()); err == nil {
		defer conn.Close()
		ended(t, conn)
	}
}

func TestWhatIsSentThroughACutArrivesOnceItIsMended(t *testing.T) {
	for name, d := range map[string]Direction{"to the server": ToServer, "to the client": ToClient, "both": Both} {
		t.Run(name, func(t *testing.T) {
			p := echo(t)
			before := dialProxy(t, p)
			say(t, before, "one ")
			hear(t, before, "one ")
			p.Cut(d)
			during := dialProxy(t, p)
			say(t, before, "two")
			say(t, during, "three")
			silence(t, before)
			silence(t, during)
			sent := p.Counts().ToServer
			if got := map[bool]int64{true: 4, false: 12}[d&ToServer != 0]; sent != got {
				t.Errorf("%d bytes reached the server instead of %d", sent, got)
			}
			p.Mend()
			hear(t, before, "two")
			hear(t, during, "three")
			if c := p.Counts(); c.Connections != 2 || c.Open != 2 || c.Reset != 0 || c.ToClient != 12 {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestAHalfOpenConnectionSwallowsWhatIsSentAndIsResetWhenMended(t *testing.T) {
	p := echo(t)
	before := dialProxy(t, p)
	say(t, before, "one")
	hear(t, before, "one")
	p.HalfOpen()
	during := dialProxy(t, p)
	for _, conn := range []net.Conn{before, during} {
		for range 3 {
			say(t, conn, "lost")
		}
		silence(t, conn)
	}
	p.Mend()
	ended(t, before)
	ended(t, during)
	after := dialProxy(t, p)
	say(t, after, "two")
	hear(t, after, "two")
	if c := p.Counts(); c.ToServer != 6 || c.Reset != 2 {
		t.Errorf("%+v", c)
	}
}

func TestAResetEndsConnectionsAndRefusesNewOnes(t *testing.T) {
	p := echo(t)
	before := dialProxy(t, p)
	say(t, before, "one")
	hear(t, before, "one")
	p.Reset()
	ended(t, before)
	refused(t, p)
	p.Mend()
	after := dialProxy(t, p)
	say(t, after, "two")
	hear(t, after, "two")
}

func TestASlowNetworkDelaysAndLimits(t *testing.T) {
	p := echo(t)
	conn := dialProxy(t, p)
	p.Slow(50*time.Millisecond, 0)
	began := time.Now()
	say(t, conn, "one")
	hear(t, conn, "one")
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Errorf("there and back took %s with 50 ms each way", took)
	}
	p.Slow(0, 100_000)
	text := string(bytes.Repeat([]byte("x"), 50_000))
	began = time.Now()
	say(t, conn, text)
	hear(t, conn, text)
	if took := time.Since(began); took < 400*time.Millisecond {
		t.Errorf("50 kB took %s at 100 kB/s", took)
	}
}

func TestAServerThatIsAwayResetsTheClient(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	p, err := NewProxy("127.0.0.1:0", free.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	refused(t, p)
}

func TestTheEndOfAConnectionTravelsThroughTheProxy(t *testing.T) {
	p := echo(t)
	conn := dialProxy(t, p)
	say(t, conn, "one")
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	hear(t, conn, "one")
	ended(t, conn)
	deadline := time.Now().Add(patience)
	for p.Counts().Open > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", p.Counts())
		}
		time.Sleep(time.Millisecond)
	}
}

func TestABrokersAddressIsReplacedInWholeFrames(t *testing.T) {
	p := echo(t)
	if err := p.Advertise("127.0.0.1:9092", p.Address()); err != nil {
		t.Fatal(err)
	}
	address := func(host string, port int) []byte { return binary.BigEndian.AppendUint32([]byte(host), uint32(port)) }
	frame := func(content ...[]byte) []byte {
		all := bytes.Join(content, nil)
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(all))), all...)
	}
	conn := dialProxy(t, p)
	said := append(frame([]byte("a\x00\x09"), address("127.0.0.1", 9092), []byte("z")), frame(address("127.0.0.1", 9093), []byte("127.0.0."))...)
	port := p.listener.Addr().(*net.TCPAddr).Port
	want := append(frame([]byte("a\x00\x09"), address("127.0.1.7", port), []byte("z")), frame(address("127.0.0.1", 9093), []byte("127.0.0."))...)
	for i := range said { // one by one
		say(t, conn, string(said[i:i+1]))
	}
	hear(t, conn, string(want))
	if err := p.Advertise("localhost.localdomain:9092", p.Address()); err == nil {
		t.Error("hosts of different lengths were taken")
	}
}

func TestAProxyStaysOnLoopback(t *testing.T) {
	if p, err := NewProxy("0.0.0.0:0", "127.0.0.1:1"); err == nil {
		p.Close()
		t.Error("it listens on all addresses")
	}
}
