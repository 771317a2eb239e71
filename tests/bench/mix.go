package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	mixKey    = "reader-of-the-bench"
	goodToBad = 9 // good requests for a bad one
	badAtOnce = 4
)

// badRequest is one that must be refused with a status.
type badRequest struct {
	method, path, body string
	header             [2]string
	status             int
}

// mixTable answers good requests with and without bad ones between them.
func mixTable(ctx context.Context, b *bench) (table, error) {
	o, err := b.startAPI(ctx, "RECSYS_API_READ_KEY="+mixKey, "RECSYS_API_WRITE_KEY=writer-of-the-bench")
	if err != nil {
		return table{}, err
	}
	defer o.process.stop()
	good := o.requests("/api/recommend/%d?n=10", "X-API-Key: "+mixKey+"\r\n")
	duration := 6 * b.duration // 60 s by default
	var with, without, perSecond, alone []float64
	var bad int64
	for round := range b.rounds {
		for turn := range 2 {
			stop := func() (int64, error) { return 0, nil }
			mixed := (turn+round)%2 == 0
			if mixed {
				stop = o.sendBad(ctx)
			}
			r, err := loadHTTP(ctx, o.address, good, duration, o.process, &o.good)
			sent, wrong := stop()
			if err := errors.Join(err, wrong); err != nil {
				return table{}, err
			}
			if bad += sent; mixed {
				with, perSecond = append(with, r.p99), append(perSecond, r.perSecond)
			} else {
				without, alone = append(without, r.p99), append(alone, r.perSecond)
			}
			progressf("round %d: %s good requests/s, p99 %.2f ms, with %d bad ones", round+1, digits(r.perSecond), r.p99, sent)
		}
	}
	note := fmt.Sprintf("for %s each: %d bad requests of %d kinds, each answered with its status; slow clients beside them", duration, bad, len(badRequests()))
	return table{note: note, rows: []row{
		{what: "p99 of good requests, with 10 % bad ones between them against without", unit: "ms", ours: with, yardstick: without, floor: 1.5, less: true},
		{what: "good requests with bad ones between them against without", unit: "requests/s", ours: perSecond, yardstick: alone},
	}}, nil
}

// sendBad sends bad requests for each goodToBad good ones, and slow ones, until it is
// stopped. Stop returns how many, and what was answered otherwise than it should be.
func (o *apiProcess) sendBad(ctx context.Context) (stop func() (int64, error)) {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	var sent atomic.Int64
	var mu sync.Mutex
	var wrong error
	kinds := badRequests()
	begin := o.good.Load()
	for range badAtOnce {
		group.Go(func() {
			client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				if sent.Load() >= (o.good.Load()-begin)/goodToBad {
					_ = pause(ctx, time.Millisecond)
					continue
				}
				kind := kinds[int(sent.Add(1))%len(kinds)]
				if err := kind.send(ctx, client, o.address); err != nil && ctx.Err() == nil {
					mu.Lock()
					wrong = errors.Join(wrong, err)
					cancel()
					mu.Unlock()
				}
			}
		})
	}
	for range badAtOnce {
		group.Go(func() { sendSlowly(ctx, o.address) })
	}
	return func() (int64, error) {
		cancel()
		group.Wait()
		return sent.Load(), wrong
	}
}

func (r badRequest) send(ctx context.Context, client *http.Client, address string) error {
	request, err := http.NewRequestWithContext(ctx, r.method, "http://"+address+r.path, strings.NewReader(r.body))
	if err != nil {
		return err
	}
	request.Header.Set("X-API-Key", mixKey)
	if strings.HasPrefix(r.path, "/api/feedback") {
		request.Header.Set("X-API-Key", "writer-of-the-bench")
	}
	if r.header[0] == "Authorization" {
		request.Header.Del("X-API-Key")
	}
	if r.header[0] != "" {
		request.Header.Set(r.header[0], r.header[1])
	}
	response, err := client.Do(request)
	if err != nil {
		if len(r.body) > 1<<20 { // the server may close before it has read all
			return nil
		}
		return err
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	if response.StatusCode != r.status {
		return fmt.Errorf("%s %s %.60s: answered %d %s, want %d", r.method, r.path, r.body, response.StatusCode, text, r.status)
	}
	return nil
}

// sendSlowly sends a request byte by byte, again and again.
func sendSlowly(ctx context.Context, address string) {
	for ctx.Err() == nil {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		for _, c := range []byte("GET /api/recommend/1 HTTP/1.1\r\nHost: localhost\r\nX-Slow: yes\r\n") {
			if _, err := conn.Write([]byte{c}); err != nil || pause(ctx, 100*time.Millisecond) != nil {
				break
			}
		}
		conn.Close()
	}
}

// badRequests are 40 kinds.
func badRequests() []badRequest {
	get := func(status int, paths ...string) (all []badRequest) {
		for _, path := range paths {
			all = append(all, badRequest{method: http.MethodGet, path: path, status: status})
		}
		return all
	}
	post := func(status int, path string, bodies ...string) (all []badRequest) {
		for _, body := range bodies {
			all = append(all, badRequest{method: http.MethodPost, path: path, body: body, status: status})
		}
		return all
	}
	return slices.Concat(
		get(http.StatusBadRequest,
			"/api/recommend/-1", "/api/recommend/x", "/api/recommend/9223372036854775808", "/api/recommend/1?n=0", "/api/recommend/1?n=1000000",
			"/api/recommend/1?n=ten", "/api/recommend/1?n=1&n=2", "/api/recommend/1?offset=-1", "/api/recommend/1?offset=99999999",
			"/api/recommend/1?genre=Drama", "/api/recommend/1?year_from=soon", "/api/recommend/1?min_count=-3", "/api/recommend/1?format=xml",
			"/api/recommend/1?%zz", "/api/estimate/1/x", "/api/estimate/-1/318", "/api/item/Heat/neighbors", "/api/user/me/neighbors",
			"/api/because/1/-2", "/api/popular?n=-1",
		),
		get(http.StatusNotFound, "/api/recommend", "/api/nothing/here"),
		post(http.StatusBadRequest, "/api/recommend/1", `{`, `[]`, `{"n":0}`, `{"n":5,"nn":6}`, `{"exclude":7}`, "\xff\xfe"),
		post(http.StatusBadRequest, "/api/estimate", `[{"user_id":1}]`, `{"pairs":7}`, ``),
		post(http.StatusBadRequest, "/api/feedback", `[{"FeedbackType":"rate","UserId":"1"}]`, `[{"FeedbackType":"dance","UserId":"1","ItemId":"2"}]`, `nonsense`),
		post(http.StatusRequestEntityTooLarge, "/api/recommend-anonymous", `{"liked":[`+strings.Repeat("1,", 5<<20)+`1]}`),
		[]badRequest{
			{method: http.MethodPut, path: "/api/recommend/1", status: http.StatusMethodNotAllowed},
			{method: http.MethodGet, path: "/api/recommend/1", header: [2]string{"X-API-Key", "wrong"}, status: http.StatusUnauthorized},
			{method: http.MethodPost, path: "/api/item", body: `{"ItemId":"1"}`, status: http.StatusForbidden},
			{method: http.MethodPost, path: "/api/recommend/1", body: "{}", header: [2]string{"Content-Encoding", "br"}, status: http.StatusUnsupportedMediaType},
			{method: http.MethodGet, path: "/api/recommend/1", header: [2]string{"Authorization", "Bearer wrong"}, status: http.StatusUnauthorized},
		},
	)
}
