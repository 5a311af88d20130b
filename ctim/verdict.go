package ctim

import (
	"cmp"
	"slices"
	"strings"
)

// VerdictOf is the verdict on an observable and the judgement that it comes from: the one of judgements
// about o that counts, see [Deciding]. Both are nil where there is none.
func VerdictOf(o Observable, judgements []*Judgement) (*Verdict, *Judgement) {
	j := Deciding(slices.DeleteFunc(slices.Clone(judgements), func(j *Judgement) bool {
		return j.Observable.Type != o.Type ||
			!strings.EqualFold(strings.TrimSpace(j.Observable.Value), strings.TrimSpace(o.Value))
	}))
	if j == nil {
		return nil, nil
	}
	return &Verdict{
		Type: KindVerdict, Disposition: j.Disposition, DispositionName: j.DispositionName,
		Observable: o, JudgementID: j.ID, ValidTime: j.ValidTime,
	}, j
}

// Deciding is the judgement that counts among several about one thing: that of the highest priority, then
// the newest, then by CTIM's order Clean, Malicious, Suspicious, Common, Unknown, and between equals by
// the id, whatever the order of arrival. It is nil where there is none.
func Deciding(judgements []*Judgement) *Judgement {
	if len(judgements) == 0 {
		return nil
	}
	return slices.MinFunc(judgements, func(a, b *Judgement) int {
		return cmp.Or(
			cmp.Compare(b.Priority, a.Priority),
			cmp.Compare(b.ValidTime.Start, a.ValidTime.Start),
			cmp.Compare(a.Disposition, b.Disposition),
			cmp.Compare(a.ID, b.ID),
		)
	})
}
