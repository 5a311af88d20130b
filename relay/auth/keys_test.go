package auth

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const badSignature = "Failed to decode JWT with provided key: it is not signed with the relay's SECRET_KEY"

// hsToken is a good token by this key.
func hsToken(key string) *http.Request { return bearing(signHS(key, hsHeader(), hsClaims())) }

func TestSecretManagerKeyVerifies(t *testing.T) {
	for _, tt := range []struct{ name, configured, requested string }{
		{"without a version it is the latest", "projects/p/secrets/s", "projects/p/secrets/s/versions/latest"},
		{"latest", "projects/p/secrets/s/versions/latest", "projects/p/secrets/s/versions/latest"},
		{"a number", "projects/p/secrets/s/versions/12", "projects/p/secrets/s/versions/12"},
		{"an alias", "projects/p/secrets/s/versions/current", "projects/p/secrets/s/versions/current"},
		{
			"a project with a domain", "projects/example.com:p/secrets/s",
			"projects/example.com:p/secrets/s/versions/latest",
		},
		{"white space around the name", " projects/123/secrets/s\n", "projects/123/secrets/s/versions/latest"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.secrets.put(tt.requested, canaryKey+"\n")
			c := w.config
			c.SecretKeySecrets = []string{tt.configured}
			v := w.verifier(t, c)
			assert.Zero(t, w.secrets.conns.Load(), "no connection before the first request")
			for range 3 {
				claims, err := v.Verify(t.Context(), hsToken(canaryKey))
				require.NoError(t, err)
				assert.Equal(t, canaryPassword, claims.Password)
			}
			assert.Equal(t, []string{tt.requested}, w.secrets.names)
		})
	}
}

// Nothing of the real client is replaced but the last step: where the
// connection leads that it opens to the region's host.
func TestRegionalSecretIsReadFromItsRegion(t *testing.T) {
	w := newWorld(t)
	const name = "projects/p/locations/europe-west3/secrets/s/versions/latest"
	w.secrets.put(name, canaryKey)
	dialled := make(chan string, 10)
	c := w.config
	c.SecretKeySecrets = []string{"projects/p/locations/europe-west3/secrets/s"}
	c.SecretManagerOptions = append(slices.Clone(w.secrets.options()[1:]), option.WithGRPCDialOption(
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			dialled <- addr
			return (&net.Dialer{}).DialContext(ctx, "tcp", w.secrets.addr)
		})))
	v := w.verifier(t, c)
	_, err := v.Verify(t.Context(), hsToken(canaryKey))
	require.NoError(t, err)
	assert.Equal(t, "secretmanager.europe-west3.rep.googleapis.com:443", <-dialled)
	assert.Equal(t, []string{name}, w.secrets.names)
}

func failing(code codes.Code) secretAnswer {
	return func(context.Context, string, int) (*version, error) {
		return nil, status.Error(code, "said by the test's server")
	}
}

func giving(value string) secretAnswer {
	return func(_ context.Context, name string, _ int) (*version, error) {
		return soundAnswer(name, value), nil
	}
}

// corrupt answers with a payload that was damaged on its way, in the first calls.
func corrupt(calls int) secretAnswer {
	return func(_ context.Context, name string, call int) (*version, error) {
		answer := soundAnswer(name, canaryKey)
		if call <= calls {
			answer.Payload.Data[3] ^= 1
		}
		return answer, nil
	}
}

func hanging(ctx context.Context, _ string, _ int) (*version, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// Every failure of Secret Manager, once for a relay that has no key yet and
// once for one whose key has to be refreshed.
func TestSecretManagerFailures(t *testing.T) {
	const several = -1
	for _, tt := range []struct {
		name    string
		answer  secretAnswer
		calls   int    // in the round, several where it depends on time
		cause   string // in the log and the error; empty: the round succeeds
		dropped bool   // the key that is held does not serve on
	}{
		{name: "not found", answer: failing(codes.NotFound), calls: 1, cause: "NotFound", dropped: true},
		{
			name: "version disabled or destroyed", answer: failing(codes.FailedPrecondition), calls: 1,
			cause: "FailedPrecondition", dropped: true,
		},
		{name: "permission denied", answer: failing(codes.PermissionDenied), calls: 1, cause: "PermissionDenied"},
		{name: "unauthenticated", answer: failing(codes.Unauthenticated), calls: 1, cause: "Unauthenticated"},
		{name: "internal error", answer: failing(codes.Internal), calls: 1, cause: "Internal"},
		{name: "unavailable throughout", answer: failing(codes.Unavailable), calls: several, cause: "Unavailable"},
		{
			name: "quota used up throughout", answer: failing(codes.ResourceExhausted), calls: several,
			cause: "ResourceExhausted",
		},
		{name: "unavailable, then well", calls: 3,
			answer: func(_ context.Context, name string, call int) (*version, error) {
				if call < 3 {
					return nil, status.Error(codes.Unavailable, "said by the test's server")
				}
				return soundAnswer(name, canaryKey), nil
			}},
		{name: "hangs throughout", answer: hanging, calls: several, cause: "DeadlineExceeded"},
		{name: "hangs once, then well", calls: 2,
			answer: func(ctx context.Context, name string, call int) (*version, error) {
				if call == 1 {
					return hanging(ctx, name, call)
				}
				return soundAnswer(name, canaryKey), nil
			}},
		{name: "payload damaged once", answer: corrupt(1), calls: 2},
		{
			name: "payload damaged throughout", answer: corrupt(1000), calls: several,
			cause: "does not match its CRC32C",
		},
		{name: "payload without a checksum", calls: several, cause: "does not match its CRC32C",
			answer: func(_ context.Context, name string, _ int) (*version, error) {
				answer := soundAnswer(name, canaryKey)
				answer.Payload.DataCrc32C = nil
				return answer, nil
			}},
		{name: "no payload", calls: 1, cause: "the key is empty",
			answer: func(_ context.Context, name string, _ int) (*version, error) {
				return &version{Name: name}, nil
			}},
		{name: "empty payload", answer: giving(""), calls: 1, cause: "the key is empty"},
		{name: "payload of white space", answer: giving(" \n\t"), calls: 1, cause: "the key is empty"},
		{
			name: "short payload", answer: giving(strings.Repeat("x", 31)), calls: 1,
			cause: "the key has 31 bytes and must have at least 32",
		},
		{
			name:   "payload is a public key",
			answer: giving("-----BEGIN PUBLIC KEY-----\n" + strings.Repeat("x", 100)), calls: 1,
			cause: "the key is a PEM file",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			quick := func(v *Verifier) {
				// Long enough for every call that answers, short enough to wait for those that hang.
				v.secrets[0].timeout = time.Minute
				if tt.calls == several || strings.HasPrefix(tt.name, "hangs") {
					v.secrets[0].timeout = 500 * time.Millisecond
				}
			}
			countCalls := func(t *testing.T, w *world) {
				if tt.calls == several {
					assert.Greater(t, w.secrets.calls.Load(), int64(1), "tried again")
				} else {
					assert.EqualValues(t, tt.calls, w.secrets.calls.Load())
				}
			}

			t.Run("at the first request", func(t *testing.T) {
				w := newWorld(t)
				v := w.verifier(t, w.config)
				quick(v)
				w.secrets.respond(tt.answer)
				claims, err := v.Verify(t.Context(), hsToken(canaryKey))
				countCalls(t, w)
				if tt.cause == "" {
					require.NoError(t, err)
					assert.Equal(t, w.secrets.calls.Load(), w.secrets.conns.Load(), "a connection that hangs is not used again")
					return
				}
				require.ErrorIs(t, err, ErrKeyUnavailable)
				require.ErrorContains(t, err, tt.cause)
				assert.NotErrorAs(t, err, new(*Error), "not the caller's fault")
				assert.Zero(t, claims)
				assert.Contains(t, w.logs.String(), tt.cause)

				// A dead source is not requested by each request, and comes back.
				calls := w.secrets.calls.Load()
				_, err = v.Verify(t.Context(), hsToken(canaryKey))
				require.ErrorIs(t, err, ErrKeyUnavailable)
				require.ErrorContains(t, err, tt.cause)
				assert.Equal(t, calls, w.secrets.calls.Load())
				w.secrets.respond(nil)
				w.clock.advance(time.Minute)
				_, err = v.Verify(t.Context(), hsToken(canaryKey))
				require.NoError(t, err)
			})

			t.Run("at a refresh", func(t *testing.T) {
				w := newWorld(t)
				v := w.verifier(t, w.config)
				_, err := v.Verify(t.Context(), hsToken(canaryKey))
				require.NoError(t, err)
				quick(v)
				w.clock.advance(7 * time.Minute)
				w.secrets.respond(tt.answer)
				_, err = v.Verify(t.Context(), hsToken(canaryKey))
				countCalls(t, w)
				if tt.dropped {
					require.ErrorIs(t, err, ErrKeyUnavailable)
					assert.Contains(t, w.logs.String(), "none is in use")
					return
				}
				require.NoError(t, err, "the last good key serves")
				if tt.cause == "" {
					return
				}
				assert.Contains(t, w.logs.String(), "the last ones stay in use")
				assert.Contains(t, w.logs.String(), tt.cause)
				calls := w.secrets.calls.Load()
				for range 10 {
					_, err = v.Verify(t.Context(), hsToken(canaryKey))
					require.NoError(t, err)
				}
				assert.Equal(t, calls, w.secrets.calls.Load(), "not requested again at once")
			})
		})
	}
}

func TestStaleKeyServesForADayAtMost(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(t, w.config)
	_, err := v.Verify(t.Context(), hsToken(canaryKey))
	require.NoError(t, err)
	w.secrets.respond(failing(codes.PermissionDenied))
	for range 23 {
		w.clock.advance(time.Hour)
		_, err = v.Verify(t.Context(), hsToken(canaryKey))
		require.NoError(t, err)
	}
	assert.EqualValues(t, 23, w.secrets.calls.Load())
	w.clock.advance(time.Hour)
	_, err = v.Verify(t.Context(), hsToken(canaryKey))
	require.ErrorIs(t, err, ErrKeyUnavailable)
}

func TestPausesGrowWhileTheSourceFails(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(t, w.config)
	w.secrets.respond(failing(codes.PermissionDenied))
	for range 600 { // ten minutes, a request each second
		_, err := v.Verify(t.Context(), hsToken(canaryKey))
		require.ErrorIs(t, err, ErrKeyUnavailable)
		w.clock.advance(time.Second)
	}
	// 1+2+4+8+16+32 seconds, then one a minute.
	assert.Less(t, w.secrets.calls.Load(), int64(30))
	assert.Greater(t, w.secrets.calls.Load(), int64(8))
}

func TestOneOfSeveralSecretsIsEnough(t *testing.T) {
	const last, next = "projects/p/secrets/k/versions/last", "projects/p/secrets/k/versions/next"
	setup := func(t *testing.T) (*world, *Verifier) {
		w := newWorld(t)
		w.secrets.put(last, canaryKey)
		w.secrets.put(next, canaryKey2)
		c := w.config
		c.SecretKeySecrets = []string{last, next}
		return w, w.verifier(t, c)
	}
	except := func(name string, code codes.Code) secretAnswer {
		return func(_ context.Context, requested string, _ int) (*version, error) {
			if requested == name {
				return nil, status.Error(code, "said by the test's server")
			}
			return soundAnswer(requested, map[string]string{last: canaryKey, next: canaryKey2}[requested]), nil
		}
	}

	t.Run("both verify after one round", func(t *testing.T) {
		w, v := setup(t)
		for range 5 {
			for _, key := range []string{canaryKey, canaryKey2} {
				_, err := v.Verify(t.Context(), hsToken(key))
				require.NoError(t, err)
			}
		}
		assert.EqualValues(t, 2, w.secrets.calls.Load())
	})
	t.Run("one that is gone leaves the other, and is requested again after a pause", func(t *testing.T) {
		w, v := setup(t)
		w.secrets.respond(except(last, codes.FailedPrecondition))
		_, err := v.Verify(t.Context(), hsToken(canaryKey2))
		require.NoError(t, err)
		w.clock.advance(2 * time.Minute)
		_, err = v.Verify(t.Context(), hsToken(canaryKey2))
		require.NoError(t, err)
		assert.EqualValues(t, 3, w.secrets.calls.Load())
	})
	t.Run("one that cannot be read now is read later", func(t *testing.T) {
		w, v := setup(t)
		w.secrets.respond(except(next, codes.Internal))
		_, err := v.Verify(t.Context(), hsToken(canaryKey))
		require.NoError(t, err)
		w.secrets.respond(nil)
		w.clock.advance(2 * time.Second)
		_, err = v.Verify(t.Context(), hsToken(canaryKey2))
		require.NoError(t, err)
		assert.EqualValues(t, 1, w.secrets.calls.Load(), "of the one that failed")
	})
	t.Run("one that is disabled stops verifying with the next refresh", func(t *testing.T) {
		w, v := setup(t)
		_, err := v.Verify(t.Context(), hsToken(canaryKey))
		require.NoError(t, err)
		w.secrets.respond(except(last, codes.FailedPrecondition))
		w.clock.advance(7 * time.Minute)
		_, err = v.Verify(t.Context(), hsToken(canaryKey))
		requireRefused(t, err, badSignature)
		_, err = v.Verify(t.Context(), hsToken(canaryKey2))
		require.NoError(t, err)
	})
}

// Requests signed with the old and with the new key flow while the key changes.
func TestRotationUnderLoad(t *testing.T) {
	// load runs workers until each has had its requests accepted. Those of the
	// old key run throughout; those of the new one start once it is there.
	load := func(t *testing.T, v *Verifier, rotate func()) {
		const workers, requests = 8, 100
		var all, halfway sync.WaitGroup
		rotated := make(chan struct{})
		halfway.Add(workers)
		worker := func(key string, begun func(int)) {
			for i := range requests {
				_, err := v.Verify(t.Context(), hsToken(key))
				assert.NoError(t, err)
				begun(i)
			}
		}
		for range workers {
			all.Go(func() {
				worker(canaryKey, func(i int) {
					if i == requests/2 {
						halfway.Done()
					}
				})
			})
			all.Go(func() {
				<-rotated
				worker(canaryKey2, func(int) {})
			})
		}
		halfway.Wait()
		rotate()
		close(rotated)
		all.Wait()
	}

	t.Run("one secret, latest", func(t *testing.T) {
		w := newWorld(t)
		v := w.verifier(t, w.config)
		load(t, v, func() { w.secrets.put(secretOne+"/versions/latest", canaryKey2) })
		assert.EqualValues(t, 2, w.secrets.calls.Load(), "the first read and the early one")
		assert.Contains(t, w.logs.String(), "keys replaced")

		// The old key's time runs out.
		w.clock.advance(overlap)
		_, err := v.Verify(t.Context(), hsToken(canaryKey))
		requireRefused(t, err, badSignature)
		_, err = v.Verify(t.Context(), hsToken(canaryKey2))
		require.NoError(t, err)
	})
	t.Run("two pinned versions", func(t *testing.T) {
		w := newWorld(t)
		w.secrets.put(secretOne+"/versions/1", canaryKey)
		w.secrets.put(secretOne+"/versions/2", canaryKey2)
		c := w.config
		c.SecretKeySecrets = []string{secretOne + "/versions/1", secretOne + "/versions/2"}
		v := w.verifier(t, c)
		load(t, v, func() {})
		assert.EqualValues(t, 2, w.secrets.calls.Load(), "one for each")
	})
	t.Run("a file", func(t *testing.T) {
		w := newWorld(t)
		c := w.config
		c.SecretKeyFile = filepath.Join(t.TempDir(), "key")
		writeKey(t, c.SecretKeyFile, canaryKey)
		v := w.verifier(t, c)
		load(t, v, func() { writeKey(t, c.SecretKeyFile, canaryKey2) })
		assert.Zero(t, w.secrets.calls.Load())
	})
}

// A key that is gone takes the one that it had replaced with it, for good.
func TestReplacedKeyGoesWithItsSuccessor(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(t, w.config)
	verify := func(key string) error {
		_, err := v.Verify(t.Context(), hsToken(key))
		return err
	}
	require.NoError(t, verify(canaryKey))
	w.secrets.put(secretOne+"/versions/latest", canaryKey2)
	require.NoError(t, verify(canaryKey2))
	require.NoError(t, verify(canaryKey), "for some minutes")

	w.clock.advance(time.Minute)
	w.secrets.respond(failing(codes.FailedPrecondition))
	requireRefused(t, verify("nobody's key"), badSignature) // causes the early read
	require.ErrorIs(t, verify(canaryKey), ErrKeyUnavailable)
	w.secrets.respond(nil)
	w.clock.advance(2 * time.Second)
	require.NoError(t, verify(canaryKey2))
	requireRefused(t, verify(canaryKey), badSignature)
}

func TestBadSignaturesCauseOneEarlyFetchAMinute(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(t, w.config)
	storm := func() {
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				for range 100 {
					_, err := v.Verify(t.Context(), hsToken(canaryKey2))
					assert.Error(t, err)
				}
			})
		}
		all.Wait()
	}
	_, err := v.Verify(t.Context(), hsToken(canaryKey))
	require.NoError(t, err)
	require.EqualValues(t, 1, w.secrets.calls.Load())

	storm()
	assert.EqualValues(t, 2, w.secrets.calls.Load(), "one early fetch")
	w.clock.advance(59 * time.Second)
	storm()
	assert.EqualValues(t, 2, w.secrets.calls.Load(), "none in the same minute")
	w.clock.advance(time.Second)
	storm()
	assert.EqualValues(t, 3, w.secrets.calls.Load(), "one in the next")
}

func TestBadSignatureDoesNotWaitOnceTheEarlyFetchIsUsedUp(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(t, w.config)
	_, err := v.Verify(t.Context(), hsToken(canaryKey2))
	requireRefused(t, err, badSignature)
	w.secrets.respond(hanging)
	for range 100 {
		_, err = v.Verify(t.Context(), hsToken(canaryKey2))
		requireRefused(t, err, badSignature)
	}
	assert.Zero(t, w.secrets.calls.Load())
}

func TestCallersShareOneFetch(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(t, w.config)
	requested, release := make(chan struct{}), make(chan struct{})
	w.secrets.respond(func(_ context.Context, name string, call int) (*version, error) {
		if call == 1 {
			close(requested)
		}
		<-release
		return soundAnswer(name, canaryKey), nil
	})

	// The one that begins the fetch gives up, the others get what it began.
	ctx, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error, 1)
	go func() {
		_, err := v.Verify(ctx, hsToken(canaryKey))
		gaveUp <- err
	}()
	<-requested
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			_, err := v.Verify(t.Context(), hsToken(canaryKey))
			assert.NoError(t, err)
		})
	}
	cancel()
	err := <-gaveUp
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, ErrKeyUnavailable)
	close(release)
	all.Wait()
	assert.EqualValues(t, 1, w.secrets.calls.Load())

	// While one request refreshes, the others go on with the key at hand.
	requested, release = make(chan struct{}), make(chan struct{})
	w.secrets.respond(func(_ context.Context, name string, _ int) (*version, error) {
		close(requested)
		<-release
		return soundAnswer(name, canaryKey), nil
	})
	w.clock.advance(7 * time.Minute)
	refreshed := make(chan error, 1)
	go func() {
		_, err := v.Verify(t.Context(), hsToken(canaryKey))
		refreshed <- err
	}()
	<-requested
	for range 10 {
		_, err := v.Verify(t.Context(), hsToken(canaryKey))
		require.NoError(t, err)
	}
	close(release)
	require.NoError(t, <-refreshed)
	assert.EqualValues(t, 1, w.secrets.calls.Load())
}

func TestNoCredentialsOfGoogleIsReportedAsKeyUnavailable(t *testing.T) {
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(t.TempDir(), "absent.json"))
	w := newWorld(t)
	c := w.config
	c.SecretManagerOptions = nil
	v := w.verifier(t, c)
	_, err := v.Verify(t.Context(), hsToken(canaryKey))
	require.ErrorIs(t, err, ErrKeyUnavailable)
	require.ErrorContains(t, err, "secret manager client")
}

// At debug level Google's client writes whole answers to the standard output.
func TestGooglesDebugLogDoesNotShowTheKey(t *testing.T) {
	t.Setenv("GOOGLE_SDK_GO_LOGGING_LEVEL", "debug")
	read, write, err := os.Pipe()
	require.NoError(t, err)
	stdout, stderr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = write, write
	defer func() { os.Stdout, os.Stderr = stdout, stderr }()

	w := newWorld(t)
	v := w.verifier(t, w.config)
	_, err = v.Verify(t.Context(), hsToken(canaryKey))
	os.Stdout, os.Stderr = stdout, stderr
	require.NoError(t, err)
	require.NoError(t, write.Close())
	var out strings.Builder
	_, err = read.WriteTo(&out)
	require.NoError(t, err)
	assert.NotContains(t, out.String(), "AccessSecretVersion")
	requireNoCanary(t, out.String())
}

// writeKey replaces a file in one step, as an operator should.
func writeKey(t testing.TB, path, key string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path+".new", []byte(key), 0o600))
	require.NoError(t, os.Rename(path+".new", path))
}

func TestKeyFile(t *testing.T) {
	const look = 72 * time.Second // the file is read again by then
	setup := func(t *testing.T, content string) (*world, *Verifier, string) {
		w := newWorld(t)
		c := w.config
		c.SecretKeyFile = filepath.Join(t.TempDir(), "key")
		if content != "" {
			writeKey(t, c.SecretKeyFile, content)
		}
		return w, w.verifier(t, c), c.SecretKeyFile
	}
	accepted := func(t *testing.T, v *Verifier, key string) {
		t.Helper()
		_, err := v.Verify(t.Context(), hsToken(key))
		require.NoError(t, err)
	}
	refused := func(t *testing.T, v *Verifier, key string) {
		t.Helper()
		_, err := v.Verify(t.Context(), hsToken(key))
		requireRefused(t, err, badSignature)
	}

	for name, content := range map[string]string{
		"a line feed": canaryKey + "\n", "a Windows line end": canaryKey + "\r\n",
	} {
		t.Run(name+" behind the key is not part of it", func(t *testing.T) {
			_, v, _ := setup(t, content)
			accepted(t, v, canaryKey)
		})
	}
	for name, tt := range map[string]struct{ content, cause string }{
		"a byte order mark":         {"\ufeff" + canaryKey, "byte order mark (BOM)"},
		"the mark of UTF-16":        {"\xff\xfe" + canaryKey, "byte order mark (BOM)"},
		"a space before the key":    {" " + canaryKey, "white space around it"},
		"a tab behind the key":      {canaryKey + "\t\n", "white space around it"},
		"two line ends":             {canaryKey + "\n\n", "white space around it"},
		"a line end before the key": {"\r\n" + canaryKey, "white space around it"},
		"a no-break space":          {canaryKey + "\u00a0", "white space around it"},
	} {
		t.Run(name+" is an error that says so", func(t *testing.T) {
			w, v, _ := setup(t, tt.content)
			_, err := v.Verify(t.Context(), hsToken(canaryKey))
			require.ErrorIs(t, err, ErrKeyUnavailable)
			require.ErrorContains(t, err, tt.cause)
			assert.Contains(t, w.logs.String(), tt.cause)
		})
	}
	t.Run("a file whose time changes all the while is read", func(t *testing.T) {
		_, v, path := setup(t, canaryKey)
		stop := make(chan struct{})
		var touching sync.WaitGroup
		touching.Go(func() {
			for at := time.Now(); ; at = at.Add(time.Second) {
				select {
				case <-stop:
					return
				default:
					assert.NoError(t, os.Chtimes(path, at, at))
				}
			}
		})
		accepted(t, v, canaryKey)
		close(stop)
		touching.Wait()
	})
	t.Run("a new key is noticed at the next look", func(t *testing.T) {
		w, v, path := setup(t, canaryKey)
		accepted(t, v, canaryKey)
		refused(t, v, canaryKey2) // uses up the early look
		writeKey(t, path, canaryKey2)
		refused(t, v, canaryKey2)
		w.clock.advance(look)
		accepted(t, v, canaryKey2)
		accepted(t, v, canaryKey)
		w.clock.advance(overlap)
		refused(t, v, canaryKey)
	})
	t.Run("a new key is noticed by the first token that it signed", func(t *testing.T) {
		_, v, path := setup(t, canaryKey)
		accepted(t, v, canaryKey)
		writeKey(t, path, canaryKey2)
		accepted(t, v, canaryKey2)
	})
	// hidden changes the key in place, with nothing but the content to show for it.
	hidden := func(t *testing.T, path string) {
		t.Helper()
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Len(t, canaryKey2, int(info.Size()))
		require.NoError(t, os.WriteFile(path, []byte(canaryKey2), 0o600))
		require.NoError(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
	}
	t.Run("a file that looks the same is read again", func(t *testing.T) {
		w, v, path := setup(t, canaryKey)
		accepted(t, v, canaryKey)
		hidden(t, path)
		accepted(t, v, canaryKey)
		assert.NotContains(t, w.logs.String(), "keys replaced")
		w.clock.advance(look)
		accepted(t, v, canaryKey)
		assert.Contains(t, w.logs.String(), "keys replaced")
		accepted(t, v, canaryKey2)
	})
	t.Run("a file that looks the same is read when a signature does not fit", func(t *testing.T) {
		_, v, path := setup(t, canaryKey)
		accepted(t, v, canaryKey)
		hidden(t, path)
		accepted(t, v, canaryKey2)
	})
	for name, content := range map[string]string{
		"an empty file":             "",
		"a file of white space":     "\n\n",
		"a half-written file":       canaryKey2[:20],
		"a file that is too long":   strings.Repeat("x", maxKeyFile+1),
		"a file that holds a PEM":   "-----BEGIN CERTIFICATE-----\n" + strings.Repeat("x", 64),
		"a file that has gone away": "remove",
		"a directory":               "directory",
	} {
		t.Run(name+" keeps the last good key", func(t *testing.T) {
			w, v, path := setup(t, canaryKey)
			accepted(t, v, canaryKey)
			switch content {
			case "remove":
				require.NoError(t, os.Remove(path))
			case "directory":
				require.NoError(t, os.Remove(path))
				require.NoError(t, os.Mkdir(path, 0o700))
			default:
				require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
			}
			w.clock.advance(look)
			accepted(t, v, canaryKey)
			assert.Contains(t, w.logs.String(), "the last ones stay in use")

			require.NoError(t, os.RemoveAll(path))
			writeKey(t, path, canaryKey2)
			w.clock.advance(look)
			accepted(t, v, canaryKey2)
		})
		t.Run(name+" at the first request is a key that cannot be read", func(t *testing.T) {
			w, v, path := setup(t, "")
			switch content {
			case "remove":
			case "directory":
				require.NoError(t, os.Mkdir(path, 0o700))
			default:
				require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
			}
			_, err := v.Verify(t.Context(), hsToken(canaryKey))
			require.ErrorIs(t, err, ErrKeyUnavailable)

			require.NoError(t, os.RemoveAll(path))
			writeKey(t, path, canaryKey)
			w.clock.advance(5 * time.Second)
			accepted(t, v, canaryKey)
		})
	}
}

func TestStaticKeyComesFirst(t *testing.T) {
	w := newWorld(t)
	c := w.config
	c.SecretKey = canaryKey2 + "\n"
	c.SecretKeyFile = filepath.Join(t.TempDir(), "absent")
	v := w.verifier(t, c)
	_, err := v.Verify(t.Context(), hsToken(canaryKey2))
	require.NoError(t, err)
	_, err = v.Verify(t.Context(), hsToken(canaryKey))
	requireRefused(t, err, badSignature)
	assert.Zero(t, w.secrets.calls.Load())
}

// The path is the operator's, and may lead to something that never ends.
func TestAKeyFileIsReadUpToItsLimit(t *testing.T) {
	_, err := readFile("/dev/zero")(t.Context())
	require.EqualError(t, err, "the file is longer than 65536 bytes")
}

// A burst of requests after a quiet time does not use what may have been revoked meanwhile.
func TestKeysThatNobodyLookedAtForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads := 0
		s := &source{ttl: 5 * time.Minute, timeout: 5 * time.Second, now: time.Now, log: slog.New(slog.DiscardHandler)}
		s.read = func(context.Context) ([]key, error) {
			time.Sleep(time.Second)
			if reads++; reads > 1 {
				return nil, errGone
			}
			return []key{{value: []byte(canaryKey)}}, nil
		}
		_, err := s.get(t.Context(), false)
		require.NoError(t, err)
		time.Sleep(11 * time.Minute)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				_, err := s.get(t.Context(), false)
				assert.ErrorIs(t, err, errGone)
			})
		}
		all.Wait()
		assert.Equal(t, 2, reads)
	})
}

func TestSourcesWithoutKeysAreReadOnceForEachRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, err := New(Config{SecretKeySecrets: []string{"projects/p/secrets/a", "projects/p/secrets/b"}})
		require.NoError(t, err)
		for _, s := range v.secrets {
			s.read = func(ctx context.Context) ([]key, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
		}
		began := time.Now()
		_, err = v.Verify(t.Context(), hsToken(canaryKey))
		require.ErrorIs(t, err, ErrKeyUnavailable)
		assert.Equal(t, 10*time.Second, time.Since(began))
	})
}

func TestMonotonicTimeDoesNotCount(t *testing.T) {
	v, err := New(Config{})
	require.NoError(t, err)
	assert.NotContains(t, v.now().String(), "m=")
}
