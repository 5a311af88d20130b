package xdr

import (
	"context"
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
	id := t.Text("id")
	all, err := list[Instance](ctx, c, "list the integrations", instancePath, url.Values{"module_type_id": {id}})
	return slices.DeleteFunc(all, func(i Instance) bool { return i.ModuleTypeID != id }), err
}

// AddInstance is the request that adds an integration of the module type. Settings have the names of the
// form's keys, and those that are secrets the type secret.Value.
func (t ModuleType) AddInstance(name string, settings map[string]any) Request {
	return Request{
		Purpose: "add the integration", Method: http.MethodPost, Path: instancePath,
		Body: map[string]any{
			"name": name, "module_type_id": t.Text("id"), "visibility": "org", "enabled": true,
			"settings": settings,
		},
	}
}

// Health is what XDR's health check of an integration found.
type Health struct {
	Data struct {
		Data struct {
			Status string // ok, error or unknown; empty where there are errors only
		}
	}
	Errors []HealthError
}

// HealthError is an error or a warning of the relay, or of XDR about it.
type HealthError struct{ Type, Code, Message string }

// OK tells whether the integration works. A warning does not change that.
func (h Health) OK() bool {
	return h.Data.Data.Status == "ok" &&
		!slices.ContainsFunc(h.Errors, func(e HealthError) bool { return e.Type != "warning" })
}

// Health lets XDR call the relay's health check with the settings of the integration. An error that repeats
// the credential among them, where that is known, is left out.
func (c *Client) Health(ctx context.Context, i Instance, credential secret.Value) (Health, error) {
	var health Health
	err := c.Send(ctx, Request{
		Purpose: "check the health of " + i.ID,
		Method:  http.MethodPost, Path: healthPath + "/" + url.PathEscape(i.ID),
	}, &health)
	for n, e := range health.Errors {
		if credential != "" && strings.Contains(e.Code+e.Message, string(credential)) {
			health.Errors[n] = HealthError{Type: e.Type, Message: "(not shown: it repeats a secret)"}
		}
	}
	return health, err
}
