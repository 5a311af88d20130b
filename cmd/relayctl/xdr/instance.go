package xdr

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"qualysrelay.example/cmd/relayctl/secret"
)

// Instance is an integration: a module type with the settings that somebody filled in. The settings hold
// credentials, so they are not read.
type Instance struct {
	ID, Name     string
	ModuleTypeID string `json:"module_type_id"`
}

// Instances are the integrations of the module type.
func (c *Client) Instances(ctx context.Context, t ModuleType) ([]Instance, error) {
	query := url.Values{"module_type_id": {t.Text("id")}}
	all, err := list[Instance](ctx, c, "list the integrations", instancePath, query)
	return slices.DeleteFunc(all, func(i Instance) bool { return i.ModuleTypeID != t.Text("id") }), err
}

// AddInstance is the request that adds an integration of the module type. Settings have the names of the
// form's keys, and those that are secrets the type secret.Value. A setting that the form does not have is an
// error: the module type may be another product's, which would be given the credentials.
func (t ModuleType) AddInstance(name string, settings map[string]any) (Request, error) {
	form, _ := t["configuration_spec"].([]any)
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		if !slices.ContainsFunc(form, func(field any) bool {
			of, _ := field.(map[string]any)
			return of["key"] == key
		}) {
			return Request{}, fmt.Errorf(`the form of the module type %q has no %s; "relayctl module push" `+
				"updates it, if it is the relay's", t.Text("title"), key)
		}
	}
	return Request{
		Purpose: "add the integration", Method: http.MethodPost, Path: instancePath,
		Body: map[string]any{
			"name": name, "module_type_id": t.Text("id"), "visibility": "org", "enabled": true,
			"settings": settings,
		},
	}, nil
}

// HealthError is an error or a warning of the relay, or of XDR about it.
type HealthError struct{ Type, Code, Message string }

// Health lets XDR call the relay's health check with the settings of the integration. It works (ok) where
// XDR says so and there are warnings at most. An error that repeats the credential is left out; that may be
// empty, where it is not known.
func (c *Client) Health(ctx context.Context, i Instance, credential secret.Value) (
	found []HealthError, ok bool, err error,
) {
	var health struct {
		Data   struct{ Data struct{ Status string } }
		Errors []HealthError
	}
	err = c.Send(ctx, Request{
		Purpose: "check the health of " + i.ID,
		Method:  http.MethodPost, Path: healthPath + "/" + url.PathEscape(i.ID),
	}, &health)
	ok = health.Data.Data.Status == "ok"
	for _, e := range health.Errors {
		ok = ok && e.Type == "warning"
		if credential != "" && strings.Contains(e.Code+e.Message, string(credential)) {
			e = HealthError{Type: e.Type, Message: "(not shown: it repeats a secret)"}
		}
		found = append(found, e)
	}
	return found, ok, err
}
