package qualys

import (
	"cmp"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
	letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

	maxWord      = 64       // characters of a word that stands for an error
	maxReason    = 300      // characters of Qualys's words in an error
	maxErrorBody = 64 << 10 // bytes of an error's body that are read
	maxErrorText = 32 << 10 // bytes of it that are quoted from: one that begins in them ends in what is read
)

// reply is what an answer that is no list of events says.
type reply struct {
	code       int           // Qualys's number, such as 1965; 0 where there is none
	word       string        // or its word, such as INVALID_CREDENTIALS
	text       string        // the sentence for people
	wait       time.Duration // how long to leave the account alone
	structured bool          // a JSON object with a reason or Qualys's XML, not a page or a text
}

// xmlReply is SIMPLE_RETURN, which Qualys's older APIs answer, or ServiceResponse, which QPS answers
// (both recorded by the integration graph-qualys).
type xmlReply struct {
	XMLName xml.Name
	Code    int    `xml:"RESPONSE>CODE"`
	Text    string `xml:"RESPONSE>TEXT"`
	Items   []struct {
		Key   string `xml:"KEY"`
		Value string `xml:"VALUE"`
	} `xml:"RESPONSE>ITEM_LIST>ITEM"`

	Word       string `xml:"responseCode"`
	Error      string `xml:"responseErrorDetails>errorMessage"`
	Resolution string `xml:"responseErrorDetails>errorResolution"`
}

// parseReply reads JSON, Qualys's XML, a page or a text.
func parseReply(body []byte) (r reply) {
	var x xmlReply
	isXML := xml.Unmarshal(body, &x) == nil
	if root := x.XMLName.Local; isXML && (root == "SIMPLE_RETURN" || root == "ServiceResponse") {
		r = reply{code: x.Code, word: x.Word, structured: true}
		r.text = cmp.Or(strings.TrimSpace(x.Text+" "+x.Error+" "+x.Resolution), x.Word)
		// How long calls take to finish is not told: a second each is a guess.
		longest := map[string]int{"SECONDS_TO_WAIT": maxLimitSeconds, "CALLS_TO_FINISH": 60}
		for _, item := range x.Items {
			n, _ := strconv.Atoi(strings.TrimSpace(item.Value))
			r.wait = max(r.wait, time.Duration(min(n, longest[item.Key]))*time.Second)
		}
		return r
	}
	var doc any
	if json.Unmarshal(body, &doc) == nil {
		r.text = r.read(doc)
		_, isObject := doc.(map[string]any)
		r.structured = isObject && r.text != ""
	}
	if r.text = cmp.Or(r.text, strings.TrimSpace(string(body))); !r.structured && isWord(r.text) {
		r.word = r.text
	}
	return r
}

// isWord reports whether s is one word such as INVALID_CREDENTIALS, not a long text such as a token.
func isWord(s string) bool {
	return s != "" && len(s) <= maxWord && strings.Trim(s, letters+"_") == ""
}

// read returns the reason that a JSON value gives, and notes the outermost code. It reads
// {"authentication_exceptions":[…]} (logins), {"message":…} and {"_error":…} (gateway), the names of
// Qualys's XML, and what other gateways in front say.
func (r *reply) read(v any) (reason string) {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v)
	case []any:
		var reasons []string
		for _, e := range v {
			if s := r.read(e); s != "" {
				reasons = append(reasons, s)
			}
		}
		return strings.Join(reasons, ", ")
	case map[string]any:
		for _, key := range [...]string{"code", "errorCode", "CODE", "responseCode"} {
			code := strings.TrimSpace(fmt.Sprint(v[key]))
			if n, err := strconv.Atoi(code); err == nil && r.code == 0 {
				r.code = n
			} else if isWord(code) {
				r.word = cmp.Or(r.word, code)
			}
		}
		for _, key := range [...]string{
			"authentication_exceptions", "message", "_error", "error_description", "error", "errorMessage", "detail",
			"errors", "title", "TEXT", "responseErrorDetails", "ServiceResponse", "SIMPLE_RETURN", "RESPONSE",
			"responseCode",
		} {
			inner := r.read(v[key]) // where there is a reason already, there may be a code
			reason = cmp.Or(reason, inner)
		}
	}
	return reason
}

// plain makes one line of at most 300 characters of foreign text, without markup and control characters.
// A text that holds one of the secrets is left out whole: plain returns "".
func plain(s string, secrets ...string) string {
	line := oneLine(s)
	for _, secret := range secrets {
		if holds(line, secret) || holds(s, secret) {
			return ""
		}
	}
	if len(s) > maxErrorText {
		line = oneLine(s[:maxErrorText])
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
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r):
			return ' '
		case unicode.Is(unicode.Cf, r): // direction marks, joiners
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}
