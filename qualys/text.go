package qualys

import (
	"cmp"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
	maxReason    = 300      // characters of Qualys's words in an error
	maxErrorBody = 64 << 10 // bytes of an error's body that are read; one that has as many is not quoted

	invalidCredentials = "INVALID_CREDENTIALS"
)

// reply is what an answer that is no list of events says.
type reply struct {
	code       int           // Qualys's number, such as 1965; 0 where there is none
	denied     bool          // it says INVALID_CREDENTIALS
	text       string        // the sentence for people
	wait       time.Duration // how long to leave the account alone
	structured bool          // JSON or XML with a reason, not a page or a text
}

// node is an element of XML.
type node struct {
	XMLName xml.Name
	Text    string `xml:",chardata"`
	Inner   []node `xml:",any"`
}

// value is what the element would be in JSON.
func (n node) value() any {
	if len(n.Inner) == 0 {
		return n.Text
	}
	object := make(map[string]any)
	for _, inner := range n.Inner {
		value := inner.value()
		if before, again := object[inner.XMLName.Local]; again {
			value = []any{before, value}
		}
		object[inner.XMLName.Local] = value
	}
	return object
}

// parseReply reads JSON, Qualys's XML, a page or a text.
func parseReply(body []byte) (r reply) {
	var doc any
	var root node
	if json.Unmarshal(body, &doc) != nil {
		doc = string(body)
		err := xml.Unmarshal(body, &root)
		if name := root.XMLName.Local; err == nil && (name == "SIMPLE_RETURN" || name == "ServiceResponse") {
			doc = map[string]any{name: root.value()}
		}
	}
	r.text = r.read(doc)
	_, isObject := doc.(map[string]any)
	r.structured = isObject && r.text != ""
	r.text = cmp.Or(r.text, strings.TrimSpace(string(body)))
	return r
}

// read returns the reason that a value of JSON gives, and notes the outermost code. It reads
// {"authentication_exceptions":[…]} (logins), {"message":…} and {"_error":…} (gateway), what other gateways
// in front say, and the XML of Qualys's older APIs: SIMPLE_RETURN, and ServiceResponse of QPS (both recorded
// by the integration graph-qualys).
func (r *reply) read(v any) (reason string) {
	switch v := v.(type) {
	case string:
		reason = strings.TrimSpace(v)
		r.denied = r.denied || reason == invalidCredentials
	case []any:
		var reasons []string
		for _, e := range v {
			if s := r.read(e); s != "" {
				reasons = append(reasons, s)
			}
		}
		return strings.Join(reasons, ", ")
	case map[string]any:
		number := func(key string) int {
			text, _ := v[key].(string) // an object could be as large as the answer
			if n, isNumber := v[key].(float64); isNumber {
				text = fmt.Sprint(n)
			}
			r.denied = r.denied || text == invalidCredentials
			n, _ := strconv.Atoi(strings.TrimSpace(text))
			return n
		}
		r.code = cmp.Or(r.code, number("code"), number("errorCode"), number("CODE"), number("responseCode"))
		if v["KEY"] == "SECONDS_TO_WAIT" {
			r.wait = time.Duration(min(number("VALUE"), maxWaitSeconds)) * time.Second
		}
		for _, key := range [...]string{
			"authentication_exceptions", "message", "_error", "error_description", "error", "errorMessage",
			"detail", "errors", "title", "TEXT", "responseErrorDetails", "ServiceResponse", "SIMPLE_RETURN",
			"RESPONSE", "ITEM_LIST", "ITEM", "responseCode",
		} {
			inner := r.read(v[key]) // where there is a reason already, there may be a code
			reason = cmp.Or(reason, inner)
		}
		reason = strings.TrimSpace(reason + " " + r.read(v["errorResolution"]))
	}
	return reason
}

// plain makes one line of at most 300 characters of foreign text, without markup and control characters.
// A text that holds one of the secrets is left out whole: plain returns "".
func plain(s string, secrets ...string) string {
	line := oneLine(s)
	leaks := func(secret string) bool { return holds(line, secret) || holds(s, secret) }
	if slices.ContainsFunc(secrets, leaks) {
		return ""
	}
	if runes := []rune(line); len(runes) > maxReason {
		line = string(runes[:maxReason-1]) + "…"
	}
	return line
}

// holds reports whether the letters and digits of the secret occur in the text in their order. Every
// encoding in which a server may echo a secret (URL, HTML, JSON, Latin-1, one in another) leaves those
// alone and changes the rest. It errs on the safe side: a text with the parts of a secret in it that is
// not one is a text less; a secret without letters and digits leaves out every text.
func holds(text, secret string) bool {
	if secret == "" {
		return false
	}
	separates := func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'z') }
	text = strings.ReplaceAll(strings.ToLower(text), " ", "") // a line break or markup may be inside it
	for _, part := range strings.FieldsFunc(strings.ToLower(secret), separates) {
		_, after, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = after
	}
	return true
}

// oneLine takes out markup, escaped or not, control characters and what cannot be seen.
func oneLine(s string) string {
	// One that is not closed ends with the text, so that each character is looked at once.
	markup := regexp.MustCompile(
		`(?is)<!--.*?(-->|$)|<(script|style)\b.*?(</(script|style)[^>]*>|$)|</?[a-z!?][^>]*(>|$)`)
	s = markup.ReplaceAllString(html.UnescapeString(html.UnescapeString(s)), " ")
	s = regexp.MustCompile(`\p{Cf}`).ReplaceAllString(s, "") // direction marks, joiners
	separates := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
	return strings.ToValidUTF8(strings.Join(strings.FieldsFunc(s, separates), " "), "\uFFFD")
}
