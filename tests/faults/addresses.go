package faults

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
)

// addresses are replaced in what a Kafka broker says, so that its clients stay
// behind the proxy: a broker tells them where brokers are.
type addresses []replacement

type replacement struct{ said, instead []byte }

// Advertise has clients of a Kafka broker told another address than the broker
// says, usually the proxy's. Hosts must be equally long. Bytes to clients then go
// in Kafka's frames; it holds for connections that are made from now on.
func (p *Proxy) Advertise(said, instead string) error {
	from, err := endpoint(said)
	if err != nil {
		return err
	}
	to, err := endpoint(instead)
	if err != nil {
		return err
	}
	if len(from) != len(to) {
		return fmt.Errorf("replacing %s by %s: the hosts differ in length; take addresses of equal length", said, instead)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.addresses = append(slices.Clone(p.addresses), replacement{from, to})
	return nil
}

// endpoint is an address as all of Kafka's responses write it: host, port.
func endpoint(address string) ([]byte, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("reading a broker's address: %w; write it as 127.0.0.1:9092", err)
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("reading a broker's port in %s: %w; write it as 127.0.0.1:9092", address, err)
	}
	return binary.BigEndian.AppendUint32([]byte(host), uint32(port)), nil
}

func (p *Proxy) rewrites() addresses {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addresses
}

// readFrame reads one response and replaces the addresses in it.
func (a addresses) readFrame(from io.Reader) ([]byte, error) {
	size := make([]byte, 4)
	if n, err := io.ReadFull(from, size); err != nil {
		return size[:n], err
	}
	frame := make([]byte, 4+binary.BigEndian.Uint32(size))
	copy(frame, size)
	n, err := io.ReadFull(from, frame[4:])
	frame = frame[:4+n]
	for _, r := range a {
		frame = bytes.ReplaceAll(frame, r.said, r.instead)
	}
	return frame, err
}
