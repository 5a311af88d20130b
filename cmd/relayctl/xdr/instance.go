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
func (c *Client) Instances(ctx context.Context, t *ModuleType) ([]Instance, error) {
	all, err := list(ctx, c, "list the integrations", instancePath, url.Values{"module_type_id": {t.ID}},
		func(i Instance) string { return i.ID })
	return slices.DeleteFunc(all, func(i Instance) bool { return i.ModuleTypeID != t.ID }), err
}

// newInstance is NewModuleInstanceParams of the API.
type newInstance struct {
	Name         string         `json:"name"`
	ModuleTypeID string         `json:"module_type_id"`
	Visibility   string         `json:"visibility"`
	Enabled      bool           `json:"enabled"`
	Settings     map[string]any `json:"settings"`
}

// AddInstance is the request that adds an integration of the module type. Settings have the names of the
// form's keys, and those that are secrets the type secret.Value. A setting that the form does not have, or
// a required one that is missing, is an error.
func (t *ModuleType) AddInstance(name string, settings map[string]any) (Request, error) {
	unknown := maps.Clone(settings)
	for _, field := range t.Form {
		if _, given := settings[field.Key]; !given && field.Required {
			return Request{}, fmt.Errorf("the module type %q requires %q (%s)",
				t.Title, field.Label, field.Key)
		}
		delete(unknown, field.Key)
	}
	if len(unknown) > 0 {
		return Request{}, fmt.Errorf("the form of the module type %q has no %s; \"relayctl module push\" "+
			"updates it", t.Title, strings.Join(slices.Sorted(maps.Keys(unknown)), ", "))
	}
	return Request{
		Purpose: "add the integration", Method: http.MethodPost, Path: instancePath,
		Body: newInstance{name, t.ID, visibilityOrg, true, settings},
	}, nil
}

// Health is what XDR's health check of an integration found.
type Health struct {
	Data struct {
		Data struct {
			Status string // ok, error or unknown; empty where there are errors only
		}
	}
	Errors []struct{ Type, Code, Message string }
}

// OK tells whether the integration works. A warning does not change that.
func (h Health) OK() bool {
	for _, e := range h.Errors {
		if e.Type != "warning" {
			return false
		}
	}
	return h.Data.Data.Status == "ok"
}

// Health lets XDR call the relay's health check with the settings of the integration. A message that
// repeats one of the secrets is left out.
func (c *Client) Health(ctx context.Context, i Instance, secrets ...secret.Value) (Health, error) {
	var health Health
	err := c.Send(ctx, Request{
		Purpose: "check the health of " + i.ID,
		Method:  http.MethodPost, Path: healthPath + "/" + url.PathEscape(i.ID),
	}, &health)
	if token, err := c.token(); err == nil {
		secrets = append(secrets, secret.Value(token.AccessToken))
	}
	for n, e := range health.Errors {
		if slices.ContainsFunc(secrets, func(s secret.Value) bool {
			return s != "" && strings.Contains(e.Code+e.Message, string(s))
		}) {
			health.Errors[n].Code, health.Errors[n].Message = "", "(not shown: it repeats a secret)"
		}
	}
	return health, err
}
