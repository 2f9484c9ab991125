package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/sublet-hpc/sublet/bench/record"
	"github.com/sublet-hpc/sublet/internal/fabric/floor"
)

// socket is what a program does that has no Sublet: bytes, or requests of HTTP, on a connection of the
// loopback interface that stays open. Both ends block.
type socket struct {
	stage  *stage
	result *record.Series
	size   int
	gap    time.Duration
	source []byte
	read   []byte
}

func newSocket(s *stage, name string, size int) (contestant, error) {
	if !s.sameNode(s.lease.Executors()[0]) {
		return nil, errors.New("it uses the loopback interface, and the executor is on another node")
	}
	result := s.series(record.Latency, name, size)
	result.Transport, result.Provider = name, "loopback"
	k := &socket{stage: s, result: result, size: size, source: make([]byte, size), read: make([]byte, size)}
	if s.options.Mode == Warm {
		k.gap = gap
	}
	return k, nil
}

func (k *socket) series() *record.Series { return k.result }

func (k *socket) close() error { return nil }

func (k *socket) block(ctx context.Context, count int) (record.Block, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return record.Block{}, err
	}
	defer listener.Close()
	tcp := listener.(*net.TCPListener)
	// A client that does not come, because its function failed, must not hold us.
	if err := tcp.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return record.Block{}, err
	}
	call := binary.NativeEndian.AppendUint64(nil, uint64(tcp.Addr().(*net.TCPAddr).Port))
	call = binary.NativeEndian.AppendUint64(call, uint64(k.size))
	name := floor.TCP
	if k.result.Name == HTTP {
		name = floor.HTTP
	}
	return k.stage.takeOver(ctx, 0, name, call, nil, func() ([]int64, error) {
		conn, err := tcp.Accept()
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		trip := func() error { return k.exchange(conn) }
		if k.result.Name == HTTP {
			client := clientOn(conn)
			defer client.CloseIdleConnections()
			trip = func() error { return k.request(ctx, client) }
		}
		return k.trips(trip, count)
	})
}

func (k *socket) trips(trip func() error, count int) ([]int64, error) {
	samples := make([]int64, 0, count)
	for range settle {
		if err := trip(); err != nil {
			return nil, err
		}
	}
	before := now()
	for i := range count {
		if k.gap > 0 {
			floor.Pause(k.gap)
			before = now()
		}
		if k.size >= 8 {
			binary.NativeEndian.PutUint64(k.source, uint64(i)+1)
		}
		if err := trip(); err != nil {
			return nil, err
		}
		after := now()
		samples = append(samples, after-before)
		before = after
	}
	return samples, nil
}

// exchange sends and reads at once: large messages fill the buffers of both ends.
func (k *socket) exchange(conn net.Conn) error {
	if k.size <= 64<<10 {
		if _, err := conn.Write(k.source); err != nil {
			return err
		}
		_, err := io.ReadFull(conn, k.read)
		return err
	}
	sent := make(chan error, 1)
	go func() {
		_, err := conn.Write(k.source)
		sent <- err
	}()
	_, err := io.ReadFull(conn, k.read)
	return errors.Join(err, <-sent)
}

// clientOn speaks HTTP on a connection that there is.
func clientOn(conn net.Conn) *http.Client {
	given := false
	return &http.Client{Transport: &http.Transport{
		DisableCompression: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			if given {
				return nil, errors.New("the executor's end closed the connection")
			}
			given = true
			return conn, nil
		},
	}}
}

func (k *socket) request(ctx context.Context, client *http.Client) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://executor/echo", bytes.NewReader(k.source))
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.ReadFull(response.Body, k.read); err != nil {
		return err
	}
	if _, err := response.Body.Read(make([]byte, 1)); !errors.Is(err, io.EOF) { // or the connection is not used again
		return fmt.Errorf("after the response: %w", err)
	}
	return nil
}
