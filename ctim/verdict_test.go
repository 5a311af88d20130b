package ctim_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/ctim"
)

func TestVerdictOf(t *testing.T) {
	const (
		sha      = "b1f6c0ffee00112233445566778899aabbccddeeff00112233445566778899aa"
		otherSHA = "0ddba11000112233445566778899aabbccddeeff00112233445566778899aabb"
		md5      = "00112233445566778899aabbccddeeff"
	)
	when := time.Date(2026, 5, 4, 9, 15, 30, 123_000_000, time.UTC)
	about := func(t ctim.ObservableType, v string) ctim.Observable {
		return ctim.Observable{Type: t,
			Value: v}
	}
	asked := about(ctim.ObservableSHA256, sha)
	judgement := func(id string, o ctim.Observable, d ctim.Disposition, priority int,
		days int) *ctim.Judgement {
		name := []string{"", "Clean", "Malicious", "Suspicious", "Common", "Unknown"}[d]
		j := &ctim.Judgement{Observable: o, Disposition: d, DispositionName: name, Priority: priority}
		j.ID = id
		if days >= 0 {
			j.ValidTime.Start = ctim.TimeOf(when.AddDate(0, 0, days))
		}
		return j
	}
	const clean, malicious, suspicious, common, unknown = 1, 2, 3, 4, 5
	for _, tt := range []struct {
		name  string
		asked ctim.Observable
		js    []*ctim.Judgement
		want  string // id; "" is no verdict
	}{
		{"nothing was judged", asked, nil, ""},
		{"only another file was judged", asked, []*ctim.Judgement{judgement("a",
			about(ctim.ObservableSHA256, otherSHA), malicious, 90, 0)}, ""},
		{"only the file's name was judged", asked, []*ctim.Judgement{judgement("a",
			about(ctim.ObservableFileName, sha), malicious, 90, 0)}, ""},
		{"the asked file was judged among others", asked, []*ctim.Judgement{
			judgement("a", about(ctim.ObservableSHA256, otherSHA), malicious, 100, 9), judgement("b",
				asked, clean, 90, 0),
		}, "b"},
		{"letters' case and white space do not matter", about(ctim.ObservableSHA256,
			" "+strings.ToUpper(sha)), []*ctim.Judgement{judgement("a", asked, clean, 90, 0)}, "a"},
		{"an MD5 has a verdict too", about(ctim.ObservableMD5, md5), []*ctim.Judgement{judgement("a",
			about(ctim.ObservableMD5, md5), clean, 90, 0)}, "a"},
		{"priority comes before age", asked, []*ctim.Judgement{judgement("a", asked, unknown, 91, 0),
			judgement("b", asked, clean, 90, 5)}, "a"},
		{"the newest counts", asked, []*ctim.Judgement{judgement("a", asked, clean, 90, 0), judgement("b",
			asked, unknown, 90, 1), judgement("c", asked, clean, 90, -1)}, "b"},
		{"clean comes before malicious", asked, []*ctim.Judgement{judgement("a", asked, malicious, 90, 0),
			judgement("b", asked, clean, 90, 0)}, "b"},
		{"malicious comes before suspicious", asked, []*ctim.Judgement{judgement("a", asked, suspicious,
			90, 0), judgement("b", asked, malicious, 90, 0)}, "b"},
		{"suspicious comes before common", asked, []*ctim.Judgement{judgement("a", asked, common, 90, 0),
			judgement("b", asked, suspicious, 90, 0)}, "b"},
		{"common comes before unknown", asked, []*ctim.Judgement{judgement("a", asked, unknown, 90, 0),
			judgement("b", asked, common, 90, 0)}, "b"},
		{"between equals the order does not matter", asked, []*ctim.Judgement{judgement("b", asked, clean,
			90, 0), judgement("a", asked, clean, 90, 0)}, "a"},
		{"without a time is oldest", asked, []*ctim.Judgement{judgement("a", asked, clean, 90, -1),
			judgement("b", asked, unknown, 90, 0)}, "b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 {
				v, j := ctim.VerdictOf(tt.asked, tt.js)
				if tt.want == "" {
					assert.Nil(t, v)
					assert.Nil(t, j)
					return
				}
				require.NotNil(t, v)
				assert.Equal(t, tt.want, j.ID)
				assert.Equal(t, &ctim.Verdict{
					Type: ctim.KindVerdict, Disposition: j.Disposition, DispositionName: j.DispositionName,
					Observable: tt.asked, JudgementID: j.ID, ValidTime: j.ValidTime,
				}, v)
				slices.Reverse(tt.js)
			}
		})
	}
}
