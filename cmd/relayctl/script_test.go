package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/text/encoding/unicode"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"qualysrelay.example/cmd/relayctl/terminal"
	"qualysrelay.example/cmd/relayctl/xdr/xdrtest"
)

// The transcripts under testdata are the manual of each command: they show what is typed and what comes
// back. In them,
//
// - RELAY_URL is a relay on this machine that sends the files under answers/: the answer to POST
// /observe/observables is
// answers/observe.json. A file that begins with "HTTP 404" answers with that status. It writes what it was
// asked to requests.log.
//   - FAKE_SECRET_MANAGER is a Secret Manager on this machine.
//   - FAKE_XDR is a Cisco XDR on this machine, of the region eu; XDR_CLIENT_ID and XDR_CLIENT_SECRET are of an
//     API client that it knows. xdrcalls FILE writes to FILE what it was asked since the last time;
//     xdrtype JSON makes a module type in it.
//   - HOSTILE_NAME is a file name with a right-to-left mark in it, which shows as invoiceexe.png.
//   - The clock stands at 2026-03-01T12:00:00Z for relayctl.
// - filemode FILE MODE and exits CODE are checks of their own; utf16 FROM TO writes a copy as Windows
// PowerShell does.

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"relayctl": relayctlUnderTest})
}

// testNow is the time at which the transcripts play.
func testNow() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// relayctlUnderTest is main with a clock that stands and with Secret Manager on this machine.
func relayctlUnderTest() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	p := &program{
		Streams: terminal.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr},
		getenv:  os.Getenv, now: testNow,
	}
	if endpoint := os.Getenv("FAKE_SECRET_MANAGER"); endpoint != "" {
		p.secretManager = localSecretManager(endpoint)
	}
	if fake := os.Getenv("FAKE_XDR"); fake != "" {
		p.xdr = xdrtest.Transport(fake)
	}
	code := p.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func localSecretManager(endpoint string) []option.ClientOption {
	return []option.ClientOption{
		option.WithEndpoint(endpoint),
		option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
	}
}

func TestTranscripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup: func(env *testscript.Env) error {
			relay := httptest.NewServer(answersIn(env.WorkDir))
			env.Defer(relay.Close)
			secrets := startSecretManager(env.T().(testing.TB))
			env.Setenv("RELAY_URL", relay.URL)
			env.Setenv("HOSTILE_NAME", "invoice\u202egnp.exe")
			env.Setenv("FAKE_SECRET_MANAGER", secrets.address)
			env.Values["secrets"] = secrets
			xdr := xdrtest.New(env.T().(testing.TB), xdrtest.Config{})
			env.Setenv("FAKE_XDR", xdr.URL)
			env.Setenv("XDR_CLIENT_ID", xdrtest.ClientID)
			env.Setenv("XDR_CLIENT_SECRET", xdrtest.ClientSecret)
			env.Values["xdr"] = xdr
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"filemode":   scriptFileMode,
			"exits":      scriptExits,
			"secretfile": scriptSecretFile,
			"utf16":      scriptUTF16,
			"xdrcalls":   scriptXDRCalls,
			"xdrtype":    scriptXDRType,
		},
	})
}

// answersIn is a relay whose answers are files. It takes what a relay takes: POST, JSON, one bearer token.
func answersIn(dir string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		words := strings.Fields(r.Header.Get("Authorization"))
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" ||
			len(words) != 2 || words[0] != "Bearer" {
			http.Error(w, "not a request of relayctl", http.StatusTeapot)
			return
		}
		name := strings.Split(strings.Trim(r.URL.Path, "/"), "/")[0]
		log, err := os.OpenFile(filepath.Join(dir, "requests.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY,
			0o600)
		if err == nil {
			fmt.Fprintf(log, "%s %s\n%s\n", r.Method, r.URL.Path, body)
			log.Close()
		}
		answer, err := os.ReadFile(filepath.Join(dir, "answers", filepath.Base(name)+".json"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		status := http.StatusOK
		if _, err := fmt.Sscanf(string(answer), "HTTP %d", &status); err == nil {
			_, rest, _ := strings.Cut(string(answer), "\n")
			if target, found := strings.CutPrefix(rest, "Location: "); found {
				w.Header().Set("Location", strings.TrimSpace(target))
			}
			answer = []byte(rest)
		}
		w.WriteHeader(status)
		_, _ = w.Write(answer)
	})
}

// filemode FILE MODE: the file has these permissions.
func scriptFileMode(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: filemode FILE MODE")
	}
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if mode := fmt.Sprintf("%04o", info.Mode().Perm()); mode != args[1] {
		ts.Fatalf("%s has mode %s, not %s", args[0], mode, args[1])
	}
}

// exits CODE COMMAND…: the command ends with the exit code.
func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var ended interface{ ExitCode() int }
	if errors.As(err, &ended) {
		code = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("%s ended with %d, not %s", strings.Join(args[1:], " "), code, args[0])
	}
}

// secretfile NAME FILE: writes what Secret Manager holds as the newest version of a secret to a file.
func scriptSecretFile(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: secretfile NAME FILE")
	}
	value := ts.Value("secrets").(*fakeSecretManager).newest(args[0])
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), value, 0o600))
}

// run is relayctl in this process; the result is the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer,
	getenv func(string) string) int {
	p := &program{Streams: terminal.Streams{In: stdin, Out: stdout, Err: stderr}, getenv: getenv,
		now: time.Now}
	return p.run(ctx, args)
}

// utf16 FROM TO: writes the file's text in UTF-16 with a byte order mark.
func scriptUTF16(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: utf16 FROM TO")
	}
	text, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(ts.ReadFile(args[0]))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

// xdrcalls FILE: writes the requests that XDR got since the last time, without their bodies.
func scriptXDRCalls(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 || neg {
		ts.Fatalf("usage: xdrcalls FILE")
	}
	calls := ts.Value("xdr").(*xdrtest.Server).TakeCalls()
	for i, call := range calls {
		calls[i] = strings.Join(strings.SplitN(call, " ", 3)[:2], " ") + "\n"
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Join(calls, "")), 0o600))
}

// xdrtype JSON: XDR has this module type, too.
func scriptXDRType(ts *testscript.TestScript, neg bool, args []string) {
	var t map[string]any
	if len(args) != 1 || neg || json.Unmarshal([]byte(args[0]), &t) != nil {
		ts.Fatalf("usage: xdrtype JSON")
	}
	ts.Value("xdr").(*xdrtest.Server).AddType(t)
}
