package api

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// roleBody is the schema RoleChange: what the commands promote, challenge, rollback
// and withdraw are told.
type roleBody struct {
	Version  string  `json:"version"`
	Role     string  `json:"role"`
	Share    float64 `json:"share"`
	Force    bool    `json:"force"`
	Reason   string  `json:"reason"`
	Expected string  `json:"expected"`
}

// roleChanged is the answer to a change of roles.
type roleChanged struct {
	Changed   bool                `json:"changed"`
	What      string              `json:"what"`
	Promotion *registry.Promotion `json:"promotion,omitempty"`
}

func (d *decoder) registry() (*registry.Registry, *Problem) {
	if d.backend == nil || d.backend.Registry == nil {
		return nil, missing("model registry", "model")
	}
	return d.backend.Registry, nil
}

// modelProblem is the answer for an error of the registry, as the commands have it.
func modelProblem(err error) *Problem {
	status := http.StatusServiceUnavailable
	for _, kind := range []struct {
		status int
		of     []error
	}{
		{http.StatusNotFound, []error{registry.ErrNotFound}},
		{http.StatusBadRequest, []error{registry.ErrRole, registry.ErrShare}},
		{http.StatusConflict, []error{registry.ErrRefused, registry.ErrChampionChanged, registry.ErrNothingBefore, registry.ErrNoChampion, registry.ErrDamaged, registry.ErrNewerFormat}},
	} {
		for _, known := range kind.of {
			if errors.Is(err, known) {
				status = kind.status
			}
		}
	}
	p := Problemf(status, "%v", err)
	switch {
	case errors.Is(err, registry.ErrRefused):
		p.Detail += `; overrule it by "force": true, with a reason`
	case status == http.StatusServiceUnavailable:
		p.RetryAfter = time.Second
	}
	return p
}

func (d *decoder) listModels() (any, *Problem) {
	versions, problem := d.registry()
	if problem != nil {
		return nil, problem
	}
	list, err := versions.Listing()
	if list == nil && err != nil {
		return nil, modelProblem(err)
	}
	answer := struct {
		Models   []registry.Listed `json:"models"`
		Problems []string          `json:"problems,omitempty"` // versions that cannot be read
	}{Models: list}
	if err != nil {
		answer.Problems = strings.Split(err.Error(), "\n")
	}
	return answer, nil
}

// version is that which a client names by its name or role.
func (d *decoder) version(versions *registry.Registry, name string) (string, *Problem) {
	version, err := versions.Resolve(name)
	if err != nil {
		p := modelProblem(err)
		if errors.Is(err, registry.ErrRole) {
			p.Status = http.StatusNotFound
		}
		return "", p
	}
	if err := registry.CheckName(version); err != nil {
		return "", badRequest("%v, nor a role: champion or challenger:NAME", err)
	}
	return version, nil
}

// getModel is a version's manifest.
func (d *decoder) getModel() (any, *Problem) {
	versions, problem := d.registry()
	if problem != nil {
		return nil, problem
	}
	version, problem := d.version(versions, d.request.PathValue("version"))
	if problem != nil {
		return nil, problem
	}
	manifest, err := versions.Manifest(version)
	if err != nil {
		return nil, modelProblem(err)
	}
	return manifest, nil
}

func (d *decoder) compareModels() (any, *Problem) {
	versions, problem := d.registry()
	if problem != nil {
		return nil, problem
	}
	var names [2]string
	for i, parameter := range []string{"a", "b"} {
		name := d.query.Get(parameter)
		if name == "" {
			return nil, badRequest("the query parameter %s is missing; give the name of a version, champion or challenger:NAME", parameter)
		}
		if names[i], problem = d.version(versions, name); problem != nil {
			return nil, problem
		}
	}
	compared, err := versions.Compare(names[0], names[1])
	if err != nil {
		return nil, modelProblem(err)
	}
	return compared, nil
}

// roleBody reads the body of a change of roles, which has no fields but those named.
func (d *decoder) roleBody(optional bool, preset string, fields ...string) (b roleBody, versions *registry.Registry, problem *Problem) {
	if versions, problem = d.registry(); problem != nil {
		return b, nil, problem
	}
	b.Reason = preset
	if optional && len(d.body) == 0 {
		return b, versions, nil
	}
	if problem = d.unmarshal(&b); problem != nil {
		return b, nil, problem
	}
	for name, given := range map[string]bool{
		"version": b.Version != "", "role": b.Role != "", "share": b.Share != 0, "force": b.Force, "expected": b.Expected != "",
	} {
		if given && !slices.Contains(fields, name) {
			return b, nil, badRequest("the field %s has no meaning here; there are %s and reason", name, strings.Join(fields, ", "))
		}
	}
	const longest = 1000
	if len(b.Reason) > longest {
		return b, nil, badRequest("reason has %d bytes; at most %d are allowed", len(b.Reason), longest)
	}
	return b, versions, nil
}

// promoteModel makes a version the champion, or a challenger.
func (d *decoder) promoteModel() (any, *Problem) {
	b, versions, problem := d.roleBody(false, "promoted by HTTP", "version", "role", "share", "force")
	if problem != nil {
		return nil, problem
	}
	if b.Version == "" {
		return nil, badRequest("version is missing; GET /api/models lists them")
	}
	version, problem := d.version(versions, b.Version)
	if problem != nil {
		return nil, problem
	}
	ctx := d.request.Context()
	if b.Role != "" && b.Role != registry.Champion {
		if b.Force {
			return nil, badRequest("force has no meaning for a challenger, which needs no gate")
		}
		if _, _, err := versions.Model(version); err != nil {
			return nil, modelProblem(err)
		}
		p, changed, err := versions.Assign(ctx, b.Role, version, b.Share, b.Reason, d.now)
		return changedRole(p, changed, "version "+version+" is "+b.Role+" already, with this share", err)
	}
	if b.Share != 0 {
		return nil, badRequest("share is for challengers; the champion has all other users")
	}
	p, changed, why, err := versions.PromoteByHand(ctx, version, b.Reason, b.Force, d.now)
	return changedRole(p, changed, why, err)
}

func changedRole(p registry.Promotion, changed bool, why string, err error) (any, *Problem) {
	if err != nil {
		return nil, modelProblem(err)
	}
	if !changed {
		return roleChanged{What: why}, nil
	}
	return roleChanged{true, p.What(), &p}, nil
}

func (d *decoder) rollbackModel() (any, *Problem) {
	b, versions, problem := d.roleBody(true, "rolled back by HTTP", "expected")
	if problem != nil {
		return nil, problem
	}
	p, err := versions.Rollback(d.request.Context(), d.now, b.Reason, b.Expected)
	return changedRole(p, true, "", err)
}

func (d *decoder) withdrawModel() (any, *Problem) {
	b, versions, problem := d.roleBody(false, "withdrawn by HTTP", "role")
	if problem != nil {
		return nil, problem
	}
	p, err := versions.Withdraw(d.request.Context(), b.Role, b.Reason, d.now)
	return changedRole(p, true, "", err)
}
