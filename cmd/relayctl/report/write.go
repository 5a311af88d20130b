package report

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/ctim"
)

const (
	manyHosts   = 3   // in a cell; the CSV has them all
	longest     = 300 // characters of one value in a cell: a hostile name can have thousands
	longestHost = 64  // characters of one host name
)

// WriteTable shows the findings to a person. It fits into width columns, from about 80 on; with width 0,
// for a pipe, each finding is one line of any length.
func (r *Report) WriteTable(w io.Writer, width int) error {
	t := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Options.SeparateHeader = width > 0
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Box.MiddleHorizontal = "─"
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	t.SuppressTrailingSpaces()

	rows := []table.Row{{"Observable", "Events", "Severity", "Verdict", "Hosts"}}
	var footnotes []string
	for _, f := range r.Findings {
		rows = append(rows, table.Row{plain.Short(Name(f.Observable), longest), f.eventsCell(),
			plain.Short(f.severity(), 10), f.verdictCell(width, &footnotes), f.hostsCell()})
	}
	if width > 0 {
		t.SetColumnConfigs(columns(rows, width))
	}
	t.AppendHeader(rows[0])
	t.AppendRows(rows[1:])
	out := t.Render() + "\n"
	for i, note := range footnotes {
		if i == 0 {
			out += "\nJudged in these events:\n"
		}
		out += fmt.Sprintf("[%d] %s\n", i+1, note)
	}
	_, err := io.WriteString(w, out)
	return err
}

// columns shares the width out: the short columns get what they need, the observable and the verdict the
// rest.
func columns(rows []table.Row, width int) []table.ColumnConfig {
	needs := make([]int, len(rows[0]))
	for _, cells := range rows {
		for i, cell := range cells {
			needs[i] = max(needs[i], text.LongestLineLen(cell.(string)))
		}
	}
	const events, hosts, least = 13, 16, 14
	needs[1], needs[4] = min(needs[1], events), min(needs[4], max(hosts, width/6))
	rest := width - 2*len(needs) - needs[1] - needs[2] - needs[4]
	needs[3] = min(needs[3], max(least, rest*2/5))
	needs[0] = min(needs[0], max(least, rest-needs[3]))
	configs := make([]table.ColumnConfig, len(needs))
	for i, need := range needs {
		configs[i] = table.ColumnConfig{Number: i + 1, WidthMax: need, WidthMaxEnforcer: text.WrapSoft}
	}
	return configs
}

// eventsCell never shows 0 where something failed.
func (f Finding) eventsCell() string {
	active := 0
	for _, h := range f.hits {
		if h.event.Active {
			active++
		}
	}
	cell := strconv.Itoa(len(f.hits))
	switch {
	case f.Skipped != "":
		return "not searched"
	case f.Incomplete && len(f.hits) == 0:
		return "not known"
	case f.Incomplete:
		cell += " or more"
	}
	if active > 0 {
		cell += fmt.Sprintf(" (%d active)", active)
	}
	return cell
}

// severity is that of the worst event. CTIM knows Critical and Info, too, though the relay has no use for
// them.
func (f Finding) severity() string {
	if len(f.hits) == 0 {
		return ""
	}
	words := []string{"None", "Info", "Low", "Medium", "High", "Critical"}
	rank := func(h hit) int { return slices.Index(words, string(h.sighting.Severity)) }
	worst := slices.MaxFunc(f.hits, func(a, b hit) int { return rank(a) - rank(b) })
	return cmp.Or(string(worst.sighting.Severity), "Unknown")
}

// judged is the worst judgement about something else in the finding's events, or nil. They are of different
// things, so that ctim.Deciding would not be right.
func (f Finding) judged() (worst *ctim.Judgement) {
	words := []string{"Clean", "Common", "Unknown", "Suspicious", "Malicious"}
	rank := func(j *ctim.Judgement) int { return slices.Index(words, j.DispositionName) }
	for _, h := range f.hits {
		if j := h.event.Judged; j != nil && (worst == nil || rank(j) > rank(worst)) {
			worst = j
		}
	}
	return worst
}

// verdictCell never shows a verdict as the observable's where Qualys judged something else: an address is
// not clean because a clean process connected to it. On a terminal, what was judged goes into a footnote,
// whole.
func (f Finding) verdictCell(width int, footnotes *[]string) string {
	judged := f.judged()
	switch {
	case f.Verdict != nil:
		return plain.Short(opinion(f.Verdict), longest)
	case judged == nil:
		return ""
	}
	about := plain.Short(Name(judged.Observable), longest)
	if width == 0 {
		return fmt.Sprintf("not judged (%s for %s)", plain.Short(opinion(judged), longest), about)
	}
	note := plain.Short(opinion(judged), width-4) + "\n    " + about
	at := slices.Index(*footnotes, note)
	if at < 0 {
		at = len(*footnotes)
		*footnotes = append(*footnotes, note)
	}
	return fmt.Sprintf("not judged [%d]", at+1)
}

func (f Finding) hostsCell() string {
	var hosts []string
	for _, h := range f.hits {
		hosts = append(hosts, h.event.Hosts...)
	}
	hosts = distinct(hosts)
	more := len(hosts) - manyHosts
	if more > 0 {
		hosts = hosts[:manyHosts]
	}
	for i, host := range hosts {
		hosts[i] = plain.Short(host, longestHost)
	}
	if more > 0 {
		hosts = append(hosts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(hosts, ", ")
}

// WriteEvents writes a line for each event: when, how severe, whether it is part of the current state, what
// happened, and which observables found it. With a width, lines are cut to it.
func (r *Report) WriteEvents(w io.Writer, width int) error {
	for _, e := range r.Events {
		state := "past"
		if e.Active {
			state = "active"
		}
		var by []string
		for _, s := range e.Sightings {
			for _, o := range s.Observables {
				by = append(by, Name(o))
			}
		}
		s := e.Sightings[0]
		line := fmt.Sprintf("%-24s  %-7s  %-6s  %s  (%s)", plain.Short(string(s.ObservedTime.Start), 24),
			plain.Short(string(s.Severity), 8), state, plain.Short(s.Title, longest),
			plain.Short(strings.Join(slices.Compact(by), ", "), longest))
		if width > 0 {
			line = text.Snip(line, width, "…")
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// csvColumns are the names of the columns, as row fills them.
const csvColumns = "observed type value result event severity confidence resolution active hosts title " +
	"verdict reason judged_type judged_value judged_verdict judged_reason id source_uri"

// WriteCSV writes a line for each observable and event that it found, and one for each observable that found
// none. The columns verdict and reason are about the line's observable, or empty; those of what was judged
// are about the file that Qualys judged in the line's event.
func (r *Report) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	_ = out.Write(strings.Fields(csvColumns))
	for _, f := range r.Findings {
		hits := f.hits
		if len(hits) == 0 {
			hits = []hit{{&Event{}, &ctim.Sighting{}}}
		}
		for _, h := range hits {
			_ = out.Write(f.row(h.event, h.sighting))
		}
	}
	out.Flush()
	return out.Error() // of any of the writes
}

func (f Finding) row(e *Event, s *ctim.Sighting) []string {
	active := ""
	if len(e.Sightings) > 0 {
		active = strconv.FormatBool(e.Active)
	}
	verdict, judged := cmp.Or(f.Verdict, &ctim.Judgement{}), cmp.Or(e.Judged, &ctim.Judgement{})
	row := []string{
		string(s.ObservedTime.Start), string(f.Observable.Type), f.Observable.Value, f.result(), e.ID,
		string(s.Severity), string(s.Confidence), s.Resolution, active, strings.Join(e.Hosts, " "), s.Title,
		verdict.DispositionName, verdict.Reason, string(judged.Observable.Type), judged.Observable.Value,
		judged.DispositionName, judged.Reason, s.ID, s.SourceURI,
	}
	for i, cell := range row {
		row[i] = csvCell(cell)
	}
	return row
}

// result is what became of an observable, in the words of the column.
func (f Finding) result() string {
	switch {
	case f.Skipped != "":
		return "not searched"
	case len(f.hits) > 0 && f.Incomplete:
		return "found, there may be more"
	case len(f.hits) > 0 || f.Verdict != nil:
		return "found"
	case f.Incomplete:
		return "not known"
	}
	return "nothing found"
}

// csvCell makes a value safe for terminals and for spreadsheets, which run cells that begin like a formula.
func csvCell(s string) string {
	s = plain.Text(s)
	if s != "" && strings.ContainsRune("=+-@", rune(s[0])) {
		return "'" + s
	}
	return s
}
