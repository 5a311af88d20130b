package qualys

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
)

// What an answer can be that is no list of events.
var (
	errNotJSON   = errors.New("the answer is not JSON")
	errNotList   = errors.New("the answer is not a list")
	errTruncated = errors.New("the answer is cut short")
	errTooMany   = errors.New("the answer has too many events")
)

// What one answer may hold, so that a body within the size limit cannot become many times its size in memory ("{}" is an event of 500 bytes).
const (
	maxEvents = 10_000 // Qualys's own window of one search
	maxParts  = 256    // indicators, and interfaces, of one event; more are passed over
)

// DecodeEvents reads the body of an events answer: a JSON list, or null or nothing, which mean no events. Elements that are no objects are
// passed over, and so is every field of an odd type: the answers of one gateway hold the documents of many agent versions. The error says what
// the body is instead, without quoting it. The events do not keep the body alive.
//
// The decoder goes over the bytes once, by hand: with events of 1.3 KB it is what a busy relay spends its time on, and encoding/json takes
// several times as long and cannot pass over a field of a wrong type. What encoding/json takes, it reads the same (a fuzz test holds it to that);
// beyond, it is lax: it does not check what it passes over further than it needs to find its end. It nests no deeper than the events do.
func DecodeEvents(body []byte) ([]*Event, error) {
	events, _, err := decodeEvents(body)
	return events, err
}

// decodeEvents is DecodeEvents, and counts the list's elements, those that are no events among them.
func decodeEvents(body []byte) (events []*Event, elements int, err error) {
	d := decoder{data: body}
	switch c := d.peek(); {
	case d.pos == len(body):
		return nil, 0, nil
	case c == 'n', c == 't', c == 'f', c == '"', c == '-', isDigit(c):
		null := c == 'n'
		if d.skip(); d.err != nil {
			return nil, 0, errNotJSON
		} else if !null {
			return nil, 0, errNotList
		}
	case c == '{':
		return nil, 0, errNotList
	case c != '[':
		return nil, 0, errNotJSON
	}
	if d.pos < len(body) && body[d.pos] == '[' {
		events = make([]*Event, 0, min(len(body)/1024+1, maxPageSize))
		d.array(func() {
			elements++
			if d.peek() != '{' {
				d.skip()
				return
			}
			if len(events) == maxEvents {
				d.fail(errTooMany)
				return
			}
			e, start := new(Event), d.pos
			d.event(e)
			e.Size = d.pos - start
			events = append(events, e)
		})
	}
	if d.peek(); d.err == nil && d.pos < len(body) { // something after the list
		d.fail(errNotJSON)
	}
	if d.err != nil {
		return nil, 0, d.err
	}
	if len(events) == 0 {
		return nil, elements, nil
	}
	return events, elements, nil
}

func (d *decoder) event(e *Event) {
	d.object(func(key []byte) {
		switch string(key) {
		case "id":
			e.ID = d.string()
		case "type":
			e.Type = d.string()
		case "action":
			e.Action = d.string()
		case "timeSeriesId":
			e.TimeSeriesID = d.string()
		case "eventSource":
			e.Source = d.string()
		case "dateTime":
			e.Time = parseTime(d.scalar())
		case "eventProcessedTime":
			e.ProcessedTime = parseTime(d.scalar())
		case "score":
			e.Score = d.score()
		case "indicator2":
			d.indicators = d.indicators[:0]
			d.array(d.indicator)
			e.Indicators = exact(d.indicators)
		case "file":
			e.File = pointer(d.file())
		case "process":
			e.Process = pointer(d.process())
		case "network":
			e.Network = pointer(d.network())
		case "registry":
			e.Registry = pointer(d.registry())
		case "actor":
			e.Actor = pointer(d.actor())
		case "asset":
			e.Asset = d.asset()
		default:
			d.skip()
		}
	})
}

func (d *decoder) indicator() {
	var i Indicator
	if d.object(func(key []byte) {
		switch string(key) {
		case "score":
			i.Score = d.score()
		case "sha256":
			i.SHA256 = d.string()
		case "verdict":
			i.Verdict = d.string()
		case "familyName":
			i.FamilyName = d.string()
		case "threatName":
			i.ThreatName = d.string()
		case "category":
			i.Category = d.string()
		default:
			d.skip()
		}
	}) && len(d.indicators) < maxParts {
		d.indicators = append(d.indicators, i)
	}
}

func (d *decoder) file() (f File, ok bool) {
	ok = d.object(func(key []byte) {
		switch string(key) {
		case "fullPath":
			f.FullPath = d.string()
		case "path":
			f.Path = d.string()
		case "fileName":
			f.Name = d.string()
		case "extension":
			f.Extension = d.string()
		case "md5":
			f.MD5 = d.string()
		case "sha256":
			f.SHA256 = d.string()
		case "createdDate":
			f.Created = parseTime(d.scalar())
		default:
			d.skip()
		}
	})
	return f, ok
}

func (d *decoder) process() (p Process, ok bool) {
	ok = d.object(func(key []byte) {
		switch string(key) {
		case "processName":
			p.Name = d.string()
		case "fullPath":
			p.FullPath = d.string()
		case "arguments":
			p.Arguments = d.string()
		case "userName":
			p.UserName = d.string()
		case "pid":
			p.PID = d.integer()
		case "parentPid":
			p.ParentPID = d.integer()
		case "elevated":
			p.Elevated = d.bool()
		case "processFile":
			p.SHA256, p.MD5 = "", ""
			d.object(func(key []byte) {
				switch string(key) {
				case "sha256":
					p.SHA256 = d.string()
				case "md5":
					p.MD5 = d.string()
				default:
					d.skip()
				}
			})
		default:
			d.skip()
		}
	})
	return p, ok
}

// network reads the addresses by their known names; those of ports, protocol and direction are not published, and tried in the same style.
func (d *decoder) network() (n Network, ok bool) {
	ok = d.object(func(key []byte) {
		switch string(key) {
		case "localIP":
			n.LocalIP = d.string()
		case "remoteIP":
			n.RemoteIP = d.string()
		case "remoteDns":
			n.RemoteDNS = d.string()
		case "localPort":
			n.LocalPort = d.integer()
		case "remotePort":
			n.RemotePort = d.integer()
		case "protocol":
			n.Protocol = d.string()
		case "direction":
			n.Direction = d.string()
		default:
			d.skip()
		}
	})
	return n, ok
}

// registry tries the names of the search tokens registry.key, registry.value.name and registry.value.data; no event with one is published.
func (d *decoder) registry() (r Registry, ok bool) {
	ok = d.object(func(key []byte) {
		switch string(key) {
		case "key":
			r.Key = d.string()
		case "valueName":
			r.ValueName = d.string()
		case "valueData":
			r.ValueData = d.string()
		case "value":
			r.ValueName, r.ValueData = "", ""
			d.object(func(key []byte) {
				switch string(key) {
				case "name":
					r.ValueName = d.string()
				case "data":
					r.ValueData = d.string()
				default:
					d.skip()
				}
			})
		default:
			d.skip()
		}
	})
	return r, ok
}

func (d *decoder) actor() (a Actor, ok bool) {
	ok = d.object(func(key []byte) {
		switch string(key) {
		case "processName":
			a.ProcessName = d.string()
		case "imageFullPath":
			a.ImageFullPath = d.string()
		case "processId":
			a.ProcessID = d.integer()
		default:
			d.skip()
		}
	})
	return a, ok
}

func (d *decoder) asset() (a Asset) {
	d.object(func(key []byte) {
		switch string(key) {
		case "agentId":
			a.AgentID = d.string()
		case "hostName":
			a.HostName = d.string()
		case "netBiosName":
			a.NetBIOSName = d.string()
		case "fullOSName":
			a.FullOSName = d.string()
		case "platform":
			a.Platform = d.string()
		case "interfaces":
			d.interfaces = d.interfaces[:0]
			d.array(d.netInterface)
			a.Interfaces = exact(d.interfaces)
		default:
			d.skip()
		}
	})
	return a
}

func (d *decoder) netInterface() {
	var i Interface
	if d.object(func(key []byte) {
		switch string(key) {
		case "ipAddress":
			i.IPAddress = d.string()
		case "macAddress":
			i.MACAddress = d.string()
		default:
			d.skip()
		}
	}) && len(d.interfaces) < maxParts {
		d.interfaces = append(d.interfaces, i)
	}
}

func pointer[T any](v T, ok bool) *T {
	if !ok {
		return nil
	}
	return &v
}

// exact copies a list from the decoder's scratch, in one allocation of its size.
func exact[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return slices.Clone(s)
}

// score reads 0 to 10 as a string or a number; all else is "not rated".
func (d *decoder) score() Score {
	n, ok := integer(bytes.TrimSpace(d.scalar()))
	if !ok || n < 0 || n > 10 {
		return Score{}
	}
	return Score{Value: int(n), Known: true}
}

func (d *decoder) integer() int64 {
	n, _ := integer(d.scalar())
	return n
}

// bool reads true, also as a string.
func (d *decoder) bool() bool {
	if d.peek() == '"' {
		return string(d.quoted()) == "true"
	}
	start := d.pos
	d.skip()
	return d.err == nil && string(d.data[start:d.pos]) == "true"
}

// string reads a string, and a number as its text; anything else is "".
func (d *decoder) string() string { return d.keep(d.scalar()) }

// integer reads a whole number, which may be written as 7.0 or 7e0.
func integer(s []byte) (int64, bool) {
	if len(s) > 0 && len(s) <= 18 { // fits without a check for overflow
		digits, n := s, int64(0)
		if s[0] == '-' && len(s) > 1 {
			digits = s[1:]
		}
		whole := true
		for _, c := range digits {
			whole = whole && isDigit(c)
			n = n*10 + int64(c-'0')
		}
		if whole {
			if len(digits) < len(s) {
				n = -n
			}
			return n, true
		}
	}
	for _, c := range s {
		if !isNumeric(c) { // ParseFloat takes more than JSON: "Inf", hexadecimal
			return 0, false
		}
	}
	if n, err := strconv.ParseInt(string(s), 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(string(s), 64)
	if err != nil || f < -1<<53 || f > 1<<53 || f != float64(int64(f)) {
		return 0, false
	}
	return int64(f), true
}
