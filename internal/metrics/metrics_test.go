package metrics

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ask(t *testing.T, method, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := web.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// A listener has metrics and nothing else, and is gone when it is closed.
func TestListener(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	l, err := Listen("127.0.0.1:0", Handler(New()), log)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := ask(t, http.MethodGet, l.URL()); status != http.StatusOK || !strings.Contains(body, "sublet_build_info{version=") || !strings.Contains(body, "go_goroutines") {
		t.Errorf("%d %.300s", status, body)
	}
	base := strings.TrimSuffix(l.URL(), Path)
	for _, c := range [][2]string{{http.MethodPost, Path}, {http.MethodGet, "/"}, {http.MethodGet, "/v1/status"}, {http.MethodGet, "/debug/pprof/"}} {
		if status, body := ask(t, c[0], base+c[1]); status/100 != 4 || strings.Contains(body, "sublet_") {
			t.Errorf("%s %s: %d %.100s", c[0], c[1], status, body)
		}
	}
	if _, err := Listen(l.listener.Addr().String(), Handler(New()), log); err == nil || !strings.Contains(err.Error(), "--metrics") {
		t.Errorf("the same address twice: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	var none *Listener
	if err := none.Close(); err != nil {
		t.Error(err)
	}
}
