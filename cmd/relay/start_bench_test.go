package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkStart tells how long the program takes from exec to the first accepted connection, how large it
// is, and what memory it holds idle and after 1,000 requests, without telemetry and with it. -benchtime 20x
// makes the median one of twenty.
func BenchmarkStart(b *testing.B) {
	program := filepath.Join(b.TempDir(), "relay")
	build := exec.CommandContext(b.Context(), "go", "build", "-ldflags=-s -w", "-o", program, ".")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(program)
	if err != nil {
		b.Fatal(err)
	}
	for name, env := range map[string][]string{
		"telemetry off": nil,
		"telemetry on":  {"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_TIMEOUT=10"},
	} {
		b.Run(name, func(b *testing.B) {
			var times []time.Duration
			for i := range b.N {
				took, stop, url, pid := begin(b, program, env)
				times = append(times, took)
				if i == b.N-1 {
					b.ReportMetric(resident(b, pid), "MiB-idle")
					if env == nil {
						thousand(b, url)
						b.ReportMetric(resident(b, pid), "MiB-after-1000")
					}
				}
				stop()
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "ms-median")
			b.ReportMetric(float64(info.Size())/(1<<20), "MiB-binary")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func begin(b *testing.B, program string, env []string) (
	took time.Duration, stop func(), url string, pid int,
) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	_, port, _ := net.SplitHostPort(address)
	cmd := exec.CommandContext(b.Context(), program)
	cmd.Env = append([]string{
		"SECRET_KEY=" + secretKey, "API_URL=http://127.0.0.1:1", "LOG_LEVEL=error", "PORT=" + port,
	}, env...)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			took = time.Since(began)
			_ = conn.Close()
			break
		}
		if time.Since(began) > time.Minute {
			b.Fatal("it does not listen")
		}
	}
	return took, func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}, "http://" + address, cmd.Process.Pid
}

// resident is the memory that a process holds, in MiB.
func resident(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skip("no /proc here: ", err)
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmRSS:" {
			kib, err := strconv.ParseFloat(fields[1], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib / 1024
		}
	}
	b.Fatal("no VmRSS")
	return 0
}

// thousand asks for the version and is refused an observe, 500 times each.
func thousand(b *testing.B, url string) {
	b.Helper()
	for range 500 {
		for _, path := range []string{"/version", "/observe/observables"} {
			r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url+path, strings.NewReader("[]"))
			if err != nil {
				b.Fatal(err)
			}
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				b.Fatal(err)
			}
			_ = answer.Body.Close()
		}
	}
}
