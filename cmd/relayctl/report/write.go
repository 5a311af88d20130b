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
	manyHosts = 3   // in a cell; the CSV has them all
	longest   = 300 // characters of a cell: a hostile name can have thousands
)

// cell makes a value fit for a table.
func cell(value string) string { return plain.Short(value, longest) }

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
	t.AppendHeader(table.Row{"Observable", "Events", "Severity", "Verdict", "Hosts"})
	if width > 0 {
		const events, severity, hosts, leastVerdict, gap = 13, 8, 14, 16, 2
		rest := width - events - severity - hosts - 5*gap
		observable := min(rest-leastVerdict, len("sha256:")+64)
		var columns []table.ColumnConfig
		for i, most := range []int{observable, events, severity, rest - observable, hosts} {
			columns = append(columns,
				table.ColumnConfig{Number: i + 1, WidthMax: most, WidthMaxEnforcer: text.WrapSoft})
		}
		t.SetColumnConfigs(columns)
	}
	var footnotes []string
	for _, f := range r.Findings {
		t.AppendRow(table.Row{cell(Name(f.Observable)), f.eventsCell(), severities[f.severity],
			f.verdictCell(width, &footnotes), f.hostsCell()})
	}
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

// eventsCell tells how many events there are. It never shows 0 where something failed.
func (f Finding) eventsCell() string {
	count := strconv.Itoa(len(f.sightings))
	switch {
	case f.Skipped != "":
		return "not searched"
	case f.Incomplete && len(f.sightings) == 0:
		return "not known"
	case f.Incomplete:
		count += " or more"
	}
	if f.active > 0 {
		count += fmt.Sprintf(" (%d active)", f.active)
	}
	return count
}

// verdictCell never shows a verdict as the observable's where Qualys judged something else: an address is
// not clean because a clean process connected to it. On a terminal, what was judged goes into a footnote,
// whole.
func (f Finding) verdictCell(width int, footnotes *[]string) string {
	switch {
	case f.Verdict != nil:
		return cell(opinion(f.Verdict))
	case f.judged == nil:
		return ""
	case width == 0:
		return fmt.Sprintf("not judged (%s for %s)", cell(opinion(f.judged)), cell(Name(f.judged.Observable)))
	}
	note := plain.Short(opinion(f.judged), width-4) + "\n    " + cell(Name(f.judged.Observable))
	if !slices.Contains(*footnotes, note) {
		*footnotes = append(*footnotes, note)
	}
	return fmt.Sprintf("not judged [%d]", slices.Index(*footnotes, note)+1)
}

func (f Finding) hostsCell() string {
	all := slices.Compact(slices.Sorted(slices.Values(f.hosts)))
	hosts := cell(strings.Join(all[:min(len(all), manyHosts)], ", "))
	if more := len(all) - manyHosts; more > 0 {
		hosts += fmt.Sprintf(", and %d more", more)
	}
	return hosts
}

// WriteEvents writes a line for each event: when, how severe, whether it is part of the current state, what
// happened, and which observables found it. With a width, lines are cut to it.
func (r *Report) WriteEvents(w io.Writer, width int) error {
	var out strings.Builder
	for _, event := range r.Events {
		var by []string
		for _, s := range event {
			for _, o := range s.Observables {
				by = append(by, Name(o))
			}
		}
		s := event[0]
		line := fmt.Sprintf("%-24s  %-7s  %-6s  %s  (%s)", cell(string(s.ObservedTime.Start)),
			cell(s.Severity), s.state, cell(s.Title), cell(strings.Join(slices.Compact(by), ", ")))
		if width > 0 {
			line = text.Snip(line, width, "…")
		}
		out.WriteString(line + "\n")
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// csvColumns are the names of the columns, as row fills them.
const csvColumns = "observed type value events event severity confidence resolution state hosts title " +
	"verdict reason judged_type judged_value judged_verdict judged_reason id source_uri"

// WriteCSV writes a line for each observable and event that it found, and one for each observable that found
// none. The columns verdict and reason are about the line's observable, or empty; those of what was judged
// are about the file that Qualys judged in the line's event.
func (r *Report) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	_ = out.Write(strings.Fields(csvColumns))
	for _, f := range r.Findings {
		sightings := f.sightings
		if len(sightings) == 0 {
			sightings = []*Sighting{{}}
		}
		for _, s := range sightings {
			_ = out.Write(f.row(s))
		}
	}
	out.Flush()
	return out.Error() // of any of the writes
}

func (f Finding) row(s *Sighting) []string {
	verdict, judged := cmp.Or(f.Verdict, &ctim.Judgement{}), cmp.Or(s.judged, &ctim.Judgement{})
	row := []string{
		string(s.ObservedTime.Start), string(f.Observable.Type), f.Observable.Value, f.eventsCell(), s.event,
		s.Severity, s.Confidence, s.Resolution, s.state, strings.Join(s.hosts, " "), s.Title,
		verdict.DispositionName, verdict.Reason, string(judged.Observable.Type), judged.Observable.Value,
		judged.DispositionName, judged.Reason, s.ID, s.SourceURI,
	}
	for i, cell := range row {
		row[i] = csvCell(cell)
	}
	return row
}

// csvCell makes a value safe for terminals and for spreadsheets, which run cells that begin like a formula.
func csvCell(s string) string {
	s = plain.Text(s)
	if s != "" && strings.ContainsRune("=+-@", rune(s[0])) {
		return "'" + s
	}
	return s
}
