package ctim

import (
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// AppendJSON appends the sighting as JSON.
func (s *Sighting) AppendJSON(b []byte) []byte {
	b = s.append(append(b, '{'))
	b = optString(b, "title", s.Title)
	b = optString(b, "description", s.Description)
	b = optString(b, "short_description", s.ShortDescription)
	b = stringField(b, "confidence", string(s.Confidence))
	b = intField(b, "count", int64(s.Count))
	b = strconv.AppendBool(key(b, "internal"), s.Internal)
	b = optString(b, "severity", string(s.Severity))
	b = optString(b, "resolution", s.Resolution)
	b = optString(b, "sensor", s.Sensor)
	b = s.ObservedTime.append(key(b, "observed_time"))
	b = optList(b, "observables", s.Observables, (*Observable).append)
	b = optList(b, "targets", s.Targets, (*Target).append)
	b = optList(b, "relations", s.Relations, (*Relation).append)
	if s.Data != nil {
		b = s.Data.append(key(b, "data"))
	}
	if s.Context != nil {
		b = s.Context.append(key(b, "context"))
	}
	return append(b, '}')
}

// AppendJSON appends the indicator as JSON.
func (i *Indicator) AppendJSON(b []byte) []byte {
	b = i.append(append(b, '{'))
	b = optString(b, "title", i.Title)
	b = optString(b, "description", i.Description)
	b = optString(b, "short_description", i.ShortDescription)
	b = stringField(b, "producer", i.Producer)
	b = optString(b, "severity", string(i.Severity))
	b = optString(b, "confidence", string(i.Confidence))
	b = i.ValidTime.append(key(b, "valid_time"))
	b = optStrings(b, "tags", i.Tags)
	return append(b, '}')
}

// AppendJSON appends the judgement as JSON.
func (j *Judgement) AppendJSON(b []byte) []byte {
	b = j.append(append(b, '{'))
	b = j.Observable.append(key(b, "observable"))
	b = intField(b, "disposition", int64(j.Disposition))
	b = stringField(b, "disposition_name", j.DispositionName)
	b = intField(b, "priority", int64(j.Priority))
	b = stringField(b, "confidence", string(j.Confidence))
	b = stringField(b, "severity", string(j.Severity))
	b = stringField(b, "reason", j.Reason)
	b = j.ValidTime.append(key(b, "valid_time"))
	return append(b, '}')
}

// AppendJSON appends the relationship as JSON.
func (r *Relationship) AppendJSON(b []byte) []byte {
	b = r.append(append(b, '{'))
	b = stringField(b, "relationship_type", r.RelationshipType)
	b = stringField(b, "source_ref", r.SourceRef)
	b = stringField(b, "target_ref", r.TargetRef)
	return append(b, '}')
}

// AppendJSON appends the verdict as JSON.
func (v *Verdict) AppendJSON(b []byte) []byte {
	b = stringField(append(b, '{'), "type", string(v.Type))
	b = intField(b, "disposition", int64(v.Disposition))
	b = optString(b, "disposition_name", v.DispositionName)
	b = v.Observable.append(key(b, "observable"))
	b = optString(b, "judgement_id", v.JudgementID)
	b = v.ValidTime.append(key(b, "valid_time"))
	return append(b, '}')
}

// append writes the base's members into an object that is already open.
func (e *Base) append(b []byte) []byte {
	b = stringField(b, "id", e.ID)
	b = stringField(b, "type", string(e.Type))
	b = stringField(b, "schema_version", e.SchemaVersion)
	b = optStrings(b, "external_ids", e.ExternalIDs)
	b = optList(b, "external_references", e.ExternalReferences, (*ExternalReference).append)
	b = optTime(b, "timestamp", e.Timestamp)
	b = optString(b, "tlp", e.TLP)
	b = optString(b, "source", e.Source)
	return optString(b, "source_uri", e.SourceURI)
}

func (r *ExternalReference) append(b []byte) []byte {
	b = stringField(append(b, '{'), "source_name", r.SourceName)
	b = optString(b, "description", r.Description)
	b = optString(b, "url", r.URL)
	b = optString(b, "external_id", r.ExternalID)
	return append(b, '}')
}

func (o *Observable) append(b []byte) []byte {
	b = stringField(append(b, '{'), "type", string(o.Type))
	b = stringField(b, "value", o.Value)
	return append(b, '}')
}

func (t *Target) append(b []byte) []byte {
	b = stringField(append(b, '{'), "type", t.Type)
	b = list(key(b, "observables"), t.Observables, (*Observable).append)
	b = t.ObservedTime.append(key(b, "observed_time"))
	b = optString(b, "os", t.OS)
	return append(b, '}')
}

func (r *Relation) append(b []byte) []byte {
	b = stringField(append(b, '{'), "origin", r.Origin)
	b = optString(b, "origin_uri", r.OriginURI)
	b = stringField(b, "relation", r.Relation)
	b = r.Source.append(key(b, "source"))
	b = r.Related.append(key(b, "related"))
	return append(b, '}')
}

func (d *DataTable) append(b []byte) []byte {
	b = list(key(append(b, '{'), "columns"), d.Columns, (*Column).append)
	b = list(key(b, "rows"), d.Rows, func(row *[]string, b []byte) []byte { return stringList(b, *row) })
	b = intField(b, "row_count", int64(d.RowCount))
	return append(b, '}')
}

func (c *Column) append(b []byte) []byte {
	b = stringField(append(b, '{'), "name", c.Name)
	b = stringField(b, "type", c.Type)
	return append(b, '}')
}

func (c *Context) append(b []byte) []byte {
	b = append(b, '{')
	b = optList(b, "process_create_events", c.ProcessCreate, (*ProcessCreateEvent).append)
	b = optList(b, "file_create_events", c.FileCreate, (*FileEvent).append)
	b = optList(b, "file_delete_events", c.FileDelete, (*FileEvent).append)
	b = optList(b, "file_modify_events", c.FileModify, (*FileEvent).append)
	b = optList(b, "netflow_events", c.Netflow, (*NetflowEvent).append)
	b = optList(b, "registry_create_events", c.RegistryCreate, (*RegistryEvent).append)
	b = optList(b, "registry_set_events", c.RegistrySet, (*RegistrySetEvent).append)
	b = optList(b, "registry_delete_events", c.RegistryDelete, (*RegistryEvent).append)
	return append(b, '}')
}

// append writes the base's members into an object that is already open.
func (c *ContextBase) append(b []byte) []byte {
	b = stringField(b, "type", string(c.Type))
	b = c.Time.append(key(b, "time"))
	b = intField(b, "process_id", c.ProcessID)
	b = stringField(b, "process_name", c.ProcessName)
	return optString(b, "process_username", c.ProcessUsername)
}

func (e *ProcessCreateEvent) append(b []byte) []byte {
	b = e.ContextBase.append(append(b, '{'))
	b = optString(b, "process_args", e.ProcessArgs)
	b = optString(b, "process_hash", e.ProcessHash)
	b = optInt(b, "parent_process_id", e.ParentProcessID)
	return append(b, '}')
}

func (e *FileEvent) append(b []byte) []byte {
	b = e.ContextBase.append(append(b, '{'))
	b = stringField(b, "file_name", e.FileName)
	b = stringField(b, "file_path", e.FilePath)
	return append(b, '}')
}

func (e *NetflowEvent) append(b []byte) []byte {
	b = e.ContextBase.append(append(b, '{'))
	b = e.Traffic.append(key(b, "traffic"))
	b = optString(b, "process_path", e.ProcessPath)
	b = optString(b, "process_args", e.ProcessArgs)
	b = optString(b, "process_hash", e.ProcessHash)
	b = optInt(b, "parent_process_id", e.ParentProcessID)
	return append(b, '}')
}

func (t *Traffic) append(b []byte) []byte {
	b = intField(append(b, '{'), "protocol", int64(t.Protocol))
	b = stringField(b, "source_ip", t.SourceIP)
	b = intField(b, "source_port", int64(t.SourcePort))
	b = stringField(b, "destination_ip", t.DestinationIP)
	b = intField(b, "destination_port", int64(t.DestinationPort))
	b = stringField(b, "direction", t.Direction)
	b = optString(b, "destination_host_name", t.DestinationHostName)
	return append(b, '}')
}

func (e *RegistryEvent) append(b []byte) []byte {
	b = e.ContextBase.append(append(b, '{'))
	b = stringField(b, "registry_key", e.RegistryKey)
	return append(b, '}')
}

func (e *RegistrySetEvent) append(b []byte) []byte {
	b = e.ContextBase.append(append(b, '{'))
	b = stringField(b, "registry_key", e.RegistryKey)
	b = stringField(b, "registry_value", e.RegistryValue)
	b = optString(b, "registry_data", e.RegistryData)
	return append(b, '}')
}

func (t ObservedTime) append(b []byte) []byte {
	b = t.Start.appendJSON(key(append(b, '{'), "start_time"))
	b = optTime(b, "end_time", t.End)
	return append(b, '}')
}

func (t ValidTime) append(b []byte) []byte {
	b = optTime(append(b, '{'), "start_time", t.Start)
	b = optTime(b, "end_time", t.End)
	return append(b, '}')
}

// key begins a member of the open object: the comma, where one is needed, and its name, which is one of ours and needs no escape.
func key(b []byte, name string) []byte {
	b = append(comma(b), '"')
	b = append(b, name...)
	return append(b, '"', ':')
}

// comma separates the next member or element from the one before. A brace or bracket that ends b was opened here: a string would end in its quote.
func comma(b []byte) []byte {
	if c := b[len(b)-1]; c == '{' || c == '[' {
		return b
	}
	return append(b, ',')
}

func stringField(b []byte, name, v string) []byte { return appendString(key(b, name), v) }

func optString(b []byte, name, v string) []byte {
	if v == "" {
		return b
	}
	return stringField(b, name, v)
}

func intField(b []byte, name string, v int64) []byte { return strconv.AppendInt(key(b, name), v, 10) }

func optInt(b []byte, name string, v int64) []byte {
	if v == 0 {
		return b
	}
	return intField(b, name, v)
}

func optTime(b []byte, name string, t Time) []byte {
	if t.IsZero() {
		return b
	}
	return t.appendJSON(key(b, name))
}

// list writes [] for nil too: CTIM takes no null.
func list[T any](b []byte, vs []T, element func(*T, []byte) []byte) []byte {
	b = append(b, '[')
	for i := range vs {
		b = element(&vs[i], comma(b))
	}
	return append(b, ']')
}

func optList[T any](b []byte, name string, vs []T, element func(*T, []byte) []byte) []byte {
	if len(vs) == 0 {
		return b
	}
	return list(key(b, name), vs, element)
}

func stringList(b []byte, vs []string) []byte {
	return list(b, vs, func(s *string, b []byte) []byte { return appendString(b, *s) })
}

func optStrings(b []byte, name string, vs []string) []byte {
	if len(vs) == 0 {
		return b
	}
	return stringList(key(b, name), vs)
}

// appendString appends s as a JSON string. Invalid bytes become U+FFFD; U+2028 and U+2029 are escaped, so that the text is safe inside a script.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := plain(s); i < len(s); i += plain(s[i:]) {
		size := 1
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(append(b, s[start:i]...), '\\', c)
		case c == '\n':
			b = append(append(b, s[start:i]...), '\\', 'n')
		case c == '\r':
			b = append(append(b, s[start:i]...), '\\', 'r')
		case c == '\t':
			b = append(append(b, s[start:i]...), '\\', 't')
		case c < ' ':
			b = append(append(b, s[start:i]...), '\\', 'u', '0', '0', hex[c>>4], hex[c&0xF])
		default:
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && size == 1:
				b = append(append(b, s[start:i]...), "\uFFFD"...)
			case r == 0x2028 || r == 0x2029:
				b = append(append(b, s[start:i]...), '\\', 'u', '2', '0', '2', hex[r&0xF])
			default:
				i += size
				continue
			}
		}
		i += size
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// plain is how many of the first bytes of s JSON takes as they are: ASCII without control characters, quotes and backslashes. It looks at eight bytes
// at a time, for most of an answer is clean text, such as ids and addresses of the console.
func plain(s string) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		quote, backslash := w^ones*'"', w^ones*'\\' // 0 where the byte is one
		// What is not ASCII has its top bit set, and so has the difference where a byte is below what is subtracted. That borrows from the byte above
		// it, which may then look wrong too: the lowest of them is right.
		if wrong := (w | (w - ones*' ') | (quote - ones) | (backslash - ones)) & tops; wrong != 0 {
			return i + bits.TrailingZeros64(wrong)/8
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			break
		}
	}
	return i
}
