package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// masked stands for a value that is not shown. Its length says nothing.
const masked = "********"

// tokenDecodeCommand shows what a token says.
type tokenDecodeCommand struct {
	File string `help:"Read the token from this file; else from standard input." placeholder:"FILE"`
}

// Help is the command's manual.
func (tokenDecodeCommand) Help() string {
	return `Shows the header and the claims, with the password and other secrets masked. It does NOT verify the signature: anybody can
write any claims. "relayctl token verify" does.

Example:

    relayctl token decode --file relay.jwt`
}

// Run shows the token.
func (c *tokenDecodeCommand) Run(ctx context.Context, p *program) error {
	token, err := p.readToken(ctx, c.File)
	if err != nil {
		return err
	}
	parts := strings.Split(string(token), ".")
	if len(parts) != 3 {
		return errors.New("not a JWT: it is not three parts joined by dots")
	}
	var out bytes.Buffer
	out.WriteString(`{"header":`)
	if _, err := decodePart(&out, "header", parts[0]); err != nil {
		return err
	}
	out.WriteString(`,"claims":`)
	claims, err := decodePart(&out, "payload", parts[1])
	if err != nil {
		return err
	}
	out.WriteByte('}')
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, out.Bytes(), "", "  "); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "%s\n", plainJSON(pretty.Bytes()))
	p.note("Not verified: the signature was not looked at.")
	p.tellTimes(claims)
	return nil
}

// tellTimes puts the token's time claims into words.
func (p *program) tellTimes(claims []byte) {
	var times struct{ Iat, Nbf, Exp *json.Number }
	if json.Unmarshal(claims, &times) != nil {
		return // odd types are shown as they are
	}
	tell := func(word string, seconds *json.Number) {
		if seconds == nil {
			return
		}
		if n, err := seconds.Float64(); err == nil && n > 0 && n < 1e11 {
			p.note("%s %s", word, time.Unix(int64(n), 0).UTC().Format(time.RFC3339))
		}
	}
	tell("Issued:    ", times.Iat)
	tell("Not before:", times.Nbf)
	if times.Exp == nil {
		p.note("Expires:    never")
	}
	tell("Expires:   ", times.Exp)
}

// decodePart writes one part of a JWT as JSON, masked, and returns it as it is.
func decodePart(out *bytes.Buffer, name, part string) ([]byte, error) {
	doc, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return nil, fmt.Errorf("not a JWT: its %s is not base64url", name)
	}
	if doc = bytes.TrimSpace(doc); !json.Valid(doc) || doc[0] != '{' {
		return nil, fmt.Errorf("not a JWT: its %s is not a JSON object", name)
	}
	if err := maskSecrets(out, doc); err != nil {
		return nil, fmt.Errorf("not a JWT: its %s: %w", name, err)
	}
	return doc, nil
}

// maskSecrets copies valid JSON and masks what is secret by its name. It keeps the order of the keys, and a key that stands there twice: the relay
// refuses such tokens, so their reader must see it.
func maskSecrets(out *bytes.Buffer, value json.RawMessage) error {
	if value[0] != '{' && value[0] != '[' {
		out.Write(value)
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(value))
	if _, err := dec.Token(); err != nil {
		return err
	}
	out.WriteByte(value[0])
	for first := true; dec.More(); first = false {
		if !first {
			out.WriteByte(',')
		}
		hide := false
		if value[0] == '{' {
			key, err := dec.Token()
			if err != nil {
				return err
			}
			name := key.(string)
			hide = isSecretName(name)
			writeJSON(out, name)
			out.WriteByte(':')
		}
		var inner json.RawMessage
		if err := dec.Decode(&inner); err != nil {
			return err
		}
		if hide {
			writeJSON(out, masked)
			continue
		}
		if err := maskSecrets(out, inner); err != nil {
			return err
		}
	}
	out.WriteByte(value[0] + 2) // the closing bracket
	return nil
}

func writeJSON(out *bytes.Buffer, s string) {
	doc, _ := json.Marshal(s) // cannot fail
	out.Write(doc)
}

// isSecretName tells whether a claim of that name is not for showing.
func isSecretName(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"pass", "pwd", "secret", "token", "key"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
