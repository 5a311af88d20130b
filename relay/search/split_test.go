package search

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
	"qualysrelay.example/qualys/qualystest"
)

// byValueFaults is what a firewall, or Qualys, may do with a query that holds a value it dislikes.
func byValueFaults() []qualystest.Behaviour {
	faults := []qualystest.Behaviour{
		qualystest.HTML(), qualystest.Truncated(), qualystest.Object(), qualystest.Empty(), qualystest.Reset(),
		qualystest.NotHTTP(), qualystest.Redirect("/login"),
	}
	for _, status := range []int{400, 403, 404, 405, 406, 410, 413, 414, 418, 422, 429 + 2, 451, 500, 501, 502, 503, 504, 520} {
		faults = append(faults, qualystest.Status(status, "your query "+sha(11)+" is not welcome"))
	}
	return faults
}

func TestOneBadValueLosesOnlyItself(t *testing.T) {
	t.Parallel()
	for _, do := range byValueFaults() {
		t.Run(do.String(), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Options{}, file(3), file(7).Current(), file(19))
			r.warm(t)
			r.fake.Inject(qualystest.Fault{On: qualystest.Search, Contains: sha(11), Do: do})
			results, _ := r.search(t, 100, shas(20)...)
			for i, result := range results {
				if i == 11 {
					assert.NotEmpty(t, result.Errs)
					continue
				}
				assert.Empty(t, result.Errs, "observable %d", i)
				assert.Equal(t, i == 3 || i == 7 || i == 19, len(result.Events) == 1, "observable %d", i)
			}
		})
	}
}

// A value that makes Qualys hang costs the others a part of their time, not all of it.
func TestOneValueThatHangsLosesOnlyItself(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{}, file(0))
	r.warm(t)
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Contains: sha(3), Do: qualystest.HangBeforeHeader()})
	ctx, cancel := context.WithTimeout(t.Context(), patience/5)
	defer cancel()
	results, _ := searchAs(ctx, r.searcher, r.fake.Tenant(), 100, shas(4)...)
	for i, result := range results {
		assert.Equal(t, i == 3, len(result.Errs) > 0, "observable %d: %v", i, result.Errs)
	}
	assert.Len(t, results[0].Events, 1)
}

func TestBadValuesLoseOnlyThemselves(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string][]int{
		"one in each quarter of sixteen": {1, 6, 8, 15}, "the first": {0}, "the first two": {0, 1}, "the last of four quarters": {3, 7, 11, 15},
		"every second": {0, 2, 4, 6, 8, 10, 12, 14}, "the middle": {7, 8},
	} {
		for _, status := range []int{http.StatusInternalServerError, http.StatusForbidden} {
			t.Run(fmt.Sprint(name, " ", status), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, Options{}, file(2), file(9))
				r.warm(t)
				for _, i := range bad {
					r.fake.Inject(qualystest.Fault{On: qualystest.Search, Contains: sha(i), Do: qualystest.Status(status, "")})
				}
				results, _ := r.search(t, 100, shas(16)...)
				for i, result := range results {
					assert.Equal(t, slices.Contains(bad, i), len(result.Errs) > 0, "observable %d", i)
				}
			})
		}
	}
}

func TestASmallRequestIsFoundAmongBadValues(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{}, file(500))
	r.warm(t)
	release := make(chan struct{})
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Times: 4, Do: qualystest.Hold(release)})
	blocking := search(t, r, shas(2)...) // two queries of each state fill the tenant
	require.NoError(t, r.fake.Wait(withDeadline(t), func(s qualystest.Stats) bool { return s.InFlight == 2 }))
	blocking2 := search(t, r, obs("md5", md5(1), md5(2))...)
	require.NoError(t, r.fake.Wait(withDeadline(t), func(s qualystest.Stats) bool { return s.InFlight == 4 }))
	var bad []ctim.Observable
	for i := range 49 {
		bad = append(bad, obs("file_name", fmt.Sprintf("bad-%d", i))...)
	}
	large := search(t, r, bad...)
	require.Eventually(t, func() bool { return r.queued() == 98 }, patience, tick)
	small := search(t, r, obs("sha256", sha(500))...)
	require.Eventually(t, func() bool { return r.queued() == 100 }, patience, tick)
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Contains: "bad", Do: qualystest.Status(http.StatusForbidden, "")})
	close(release)
	result := <-small
	assert.Empty(t, result[0].Errs)
	assert.Len(t, result[0].Events, 1)
	<-large
	<-blocking
	<-blocking2
}

func TestAGatewayThatIsDownGetsFewCalls(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusInternalServerError, http.StatusNotFound, http.StatusForbidden} {
		for n, most := range map[int]int{50: 100, 1000: 250} {
			t.Run(fmt.Sprint(status, " ", n), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, Options{})
				r.warm(t)
				r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(status, "boom")})
				results, _ := r.search(t, 100, shas(n)...)
				require.Len(t, results, n)
				for _, result := range results {
					require.NotEmpty(t, result.Errs)
				}
				assert.Less(t, r.fake.Searches(), most)
				t.Log(r.fake.Searches())
			})
		}
	}
}

func TestWhatNoValueCanCauseIsNotSplit(t *testing.T) {
	t.Parallel()
	t.Run("an account", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Options{})
		r.warm(t)
		r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.SecureID()})
		results, _ := r.search(t, 100, shas(20)...)
		for i, result := range results {
			require.NotEmpty(t, result.Errs)
			e, ok := asError(result.Errs[0])
			require.True(t, ok)
			assert.Equal(t, qualys.KindAccount, e.Kind)
			assert.Equal(t, i == 0, strings.Contains(e.Message, "SecureID"), "Qualys's words are about one lookup: %s", e.Message)
		}
		assert.Equal(t, 4, r.fake.Searches())
	})
	t.Run("a refused connection", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Options{})
		account := r.fake.Tenant()
		account.Gateway = qualystest.DeadURL(t)
		results, _ := searchAs(withDeadline(t), r.searcher, account, 100, shas(20)...)
		for _, result := range results {
			require.Len(t, result.Errs, 1)
		}
	})
	t.Run("a refused login", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Options{})
		account := r.fake.Tenant()
		account.Password = "wrong"
		for range 20 {
			results, _ := searchAs(withDeadline(t), r.searcher, account, 100, shas(200)...)
			for _, result := range results {
				require.Len(t, result.Errs, 1)
				e, ok := asError(result.Errs[0])
				require.True(t, ok)
				require.Equal(t, qualys.KindUnauthorized, e.Kind)
			}
		}
		assert.Equal(t, 1, r.fake.Logins())
		assert.Zero(t, r.fake.Searches())
	})
}

// The words of Qualys may name a value of another request's. They are there where a query was about one lookup.
func TestAFailureOfAJoinedQueryHasNoWordsOfQualys(t *testing.T) {
	t.Parallel()
	for _, do := range byValueFaults() {
		t.Run(do.String(), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Options{})
			r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: do})
			results, _ := r.search(t, 100, shas(50)...) // the budget ends before all are alone
			alone, joined := r.fake.Filters(), 0
			for _, result := range results {
				for _, err := range result.Errs {
					e, ok := asError(err)
					require.True(t, ok)
					require.NotContains(t, err.Error(), sha(11))
					if strings.Contains(e.Message, sha(11)) {
						assert.Contains(t, alone, result.Filter.String())
					} else {
						joined++
					}
				}
			}
			assert.Positive(t, joined)
		})
	}
	r := newRig(t, Options{})
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(http.StatusForbidden, "User has no access")})
	results, _ := r.search(t, 100, shas(2)...)
	for _, result := range results {
		e, ok := asError(result.Errs[0])
		require.True(t, ok)
		assert.Equal(t, "User has no access", e.Message, "two are split, and each keeps the words about it")
	}
}
