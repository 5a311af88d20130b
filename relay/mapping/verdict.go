package mapping

import (
	"strings"

	"qualysrelay.example/ctim"
)

// Verdict is what deliberate answers for a file hash: the judgement about it that counts, which is the one of highest priority, then the newest, then by
// CTIM's order Clean, Malicious, Suspicious, Common, Unknown; and that judgement itself. Judgements about anything else do not count. Both are nil where
// none is left, and for types that Qualys does not judge: only md5 and sha256 name one file for certain.
func Verdict(o ctim.Observable, js []*ctim.Judgement) (*ctim.Verdict, *ctim.Judgement) {
	if o.Type != ctim.ObservableMD5 && o.Type != ctim.ObservableSHA256 {
		return nil, nil
	}
	var best *ctim.Judgement
	for _, j := range js {
		if j == nil || j.Observable.Type != o.Type || !strings.EqualFold(j.Observable.Value, o.Value) {
			continue
		}
		if best == nil || outranks(j, best) {
			best = j
		}
	}
	if best == nil {
		return nil, nil
	}
	return &ctim.Verdict{
		Type:            ctim.KindVerdict,
		Disposition:     best.Disposition,
		DispositionName: best.DispositionName,
		Observable:      o,
		JudgementID:     best.ID,
		ValidTime:       best.ValidTime,
	}, best
}

// outranks says that j counts before k. The id decides between equals, so that the order of arrival does not.
func outranks(j, k *ctim.Judgement) bool {
	if j.Priority != k.Priority {
		return j.Priority > k.Priority
	}
	if c := j.ValidTime.Start.Compare(k.ValidTime.Start); c != 0 {
		return c > 0
	}
	if j.Disposition != k.Disposition {
		return j.Disposition < k.Disposition
	}
	return j.ID < k.ID
}
