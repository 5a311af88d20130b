package relay

import (
	"errors"
	"fmt"
	"time"

	"qualysrelay.example/qualys"
	"qualysrelay.example/relay/search"
)

// health is the module's status. Quotas are there where Qualys tells its rate limits.
type health struct {
	Status string           `json:"status"`
	Quotas map[string]quota `json:"quotas,omitempty"`
}

// quota is one of Qualys's limits, in the shape of Cisco's ModuleHealthStatus.
type quota struct {
	Description string      `json:"description"`
	Values      quotaValues `json:"values"`
}

type quotaValues struct {
	Unit        string `json:"bucket_unit"`
	Limit       int    `json:"bucket_limit"`
	Consumption int    `json:"current_bucket_consumption"`
}

// health logs in to Qualys and makes the smallest search there is: what an observe needs, and nothing else.
func (s *Service) health(r *request) (any, error) {
	answer := health{Status: "ok"}
	smallest := search.Question{What: search.Check, Active: true}
	for found := range s.searcher.Ask(r.Context(), r.account.Tenant, &r.stats, smallest) {
		if err := errors.Join(found.Errs...); err != nil {
			return nil, err
		}
		answer.Quotas = quotasOf(found.Limits)
	}
	return answer, nil
}

func quotasOf(limits qualys.RateLimits) map[string]quota {
	if limits.Limit < 1 || limits.Remaining < 0 {
		return nil
	}
	unit := "hour" // Qualys's usual window
	switch {
	case limits.Window > 0 && limits.Window <= time.Minute:
		unit = "minute"
	case limits.Window > time.Hour:
		unit = "day"
	}
	description := "Calls to the Qualys API"
	if limits.Window > 0 {
		description += fmt.Sprintf(" in %s", limits.Window)
	}
	return map[string]quota{"qualys-api": {
		Description: description,
		Values: quotaValues{
			Unit: unit, Limit: limits.Limit, Consumption: max(0, limits.Limit-limits.Remaining),
		},
	}}
}
