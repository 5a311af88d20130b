package qualys

import (
	"encoding/json"
	"encoding/xml"
	"html"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
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
func parseReply(body []byte) reply {
	var x xmlReply
	root := &x.XMLName.Local
	if xml.Unmarshal(body, &x) == nil && (*root == "SIMPLE_RETURN" || *root == "ServiceResponse") {
		return x.reply()
	}
	var doc any
	if json.Unmarshal(body, &doc) != nil {
		r := reply{text: strings.TrimSpace(string(body))}
		if isWord(r.text) {
			r.word = r.text
		}
		return r
	}
	r := reply{text: jsonReason(doc)}
	r.code, r.word = jsonCode(doc)
	if word, ok := doc.(string); ok && isWord(word) {
		r.word = word
	}
	if r.text == "" {
		r.text = string(body)
	} else {
		_, r.structured = doc.(map[string]any)
	}
	return r
}

func (x xmlReply) reply() reply {
	r := reply{code: x.Code, word: x.Word, structured: true}
	if r.text = strings.TrimSpace(x.Text + " " + x.Error + " " + x.Resolution); r.text == "" {
		r.text = r.word
	}
	for _, item := range x.Items {
		n, err := strconv.ParseUint(strings.TrimSpace(item.Value), 10, 31)
		switch {
		case err != nil:
		case item.Key == "SECONDS_TO_WAIT":
			r.wait = time.Duration(min(n, maxLimitSeconds)) * time.Second
		case item.Key == "CALLS_TO_FINISH": // how long they take is not told: a second each is a guess
			r.wait = time.Duration(min(n, 60)) * time.Second
		}
	}
	return r
}

// isWord reports whether s is one word such as INVALID_CREDENTIALS, not a long text such as a token.
func isWord(s string) bool {
	return s != "" && len(s) <= maxWord && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_") == ""
}

// jsonReason reads {"authentication_exceptions":[…]} (logins), {"message":…} and {"_error":…} (gateway),
// and what other gateways in front say.
func jsonReason(v any) string {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v)
	case []any:
		var parts []string
		for _, e := range v {
			if s := jsonReason(e); s != "" {
				parts = append(parts, s)
			}
		}
		return strings.Join(parts, ", ")
	case map[string]any:
		for _, key := range [...]string{
			"authentication_exceptions", "message", "_error", "error_description", "error", "errorMessage", "detail",
			"errors", "title", "TEXT", "responseErrorDetails", "ServiceResponse", "SIMPLE_RETURN", "RESPONSE", "responseCode",
		} {
			if s := jsonReason(v[key]); s != "" {
				return s
			}
		}
	}
	return ""
}

// jsonCode finds the code in JSON as xmlReply does in XML; the names are those of XML and of other
// gateways.
func jsonCode(v any) (code int, word string) {
	m, _ := v.(map[string]any)
	for _, key := range [...]string{"code", "errorCode", "CODE", "responseCode"} {
		switch v := m[key].(type) {
		case float64:
			return int(v), ""
		case string:
			if n, err := strconv.Atoi(strings.TrimSpace(v)); err == nil {
				return n, ""
			}
			word = v
		}
	}
	for _, key := range [...]string{"_error", "error", "ServiceResponse", "SIMPLE_RETURN", "RESPONSE"} {
		if inner, ok := m[key].(map[string]any); ok && word == "" {
			return jsonCode(inner)
		}
	}
	return 0, word
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
