package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// userBody is the schema User. What is nil is not said.
type userBody struct {
	UserID    *ID             `json:"UserId"`
	Labels    json.RawMessage `json:"Labels"`
	Comment   *string         `json:"Comment"`
	Subscribe json.RawMessage `json:"Subscribe"` // clients of Gorse send it; has no effect
}

func readUserBody(raw string) (b userBody, problem string) {
	decoder := json.NewDecoder(strings.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&b); err != nil {
		return b, err.Error()
	}
	return b, ""
}

func (b *userBody) change(p *ratings.Profile) {
	if said(b.Labels) {
		p.Labels = string(b.Labels)
	}
	if b.Comment != nil {
		p.Comment = *b.Comment
	}
}

func (d *decoder) addProfile(p ratings.Profile) *Problem {
	fields := map[string]any{"event_type": message.SetUser, "user_id": p.User, "comment": p.Comment}
	if p.Labels != "" {
		fields["labels"] = json.RawMessage(p.Labels)
	}
	return d.addEvent(p.User, fields)
}

// entries are the elements of a body of movies or users: one, where the route is for
// one.
func (d *decoder) entries() ([]gjson.Result, *Problem) {
	if d.route.one {
		return d.elements(1)
	}
	return d.elements(MaxEvents)
}

// users makes each element all of a user's profile.
func (d *decoder) users() *Problem {
	elements, problem := d.entries()
	if problem != nil {
		return problem
	}
	for i, e := range elements {
		b, wrong := readUserBody(e.Raw)
		if wrong == "" && b.UserID == nil {
			wrong = "UserId is missing"
		}
		if wrong != "" {
			return badRequest("element %d: %s; nothing was written", i, wrong)
		}
		p := ratings.Profile{User: int64(*b.UserID)}
		b.change(&p)
		if problem := d.addProfile(p); problem != nil {
			problem.Detail = "element " + strconv.Itoa(i) + ": " + problem.Detail
			return problem
		}
	}
	return nil
}

func (d *decoder) patchUser() *Problem {
	user, problem := d.id("user")
	if problem != nil {
		return problem
	}
	if problem := d.checkJSON(); problem != nil {
		return problem
	}
	root := gjson.ParseBytes(d.body)
	if !root.IsObject() {
		return badRequest("the body is %s; expected an object of the schema %s", quote(root.Raw), d.route.Body)
	}
	b, wrong := readUserBody(root.Raw)
	if wrong != "" {
		return badRequest("%s; nothing was written", wrong)
	}
	if b.UserID != nil && int64(*b.UserID) != user {
		return badRequest("UserId is %d and the path's user %d; nothing was written", *b.UserID, user)
	}
	directory, problem := d.directory()
	if problem != nil {
		return problem
	}
	profile, _, err := directory.Profile(d.request.Context(), user)
	if err != nil {
		return unavailable(err)
	}
	profile.User = user
	b.change(&profile)
	return d.addProfile(profile)
}

// forgetUser erases all that the user did, and the profile.
func (d *decoder) forgetUser() *Problem {
	user, problem := d.id("user")
	if problem != nil {
		return problem
	}
	return d.addEvent(user, map[string]any{"event_type": message.ForgetUser, "user_id": user})
}

// gorseUser is a user as Gorse has it.
type gorseUser struct {
	UserID  string          `json:"UserId"`
	Labels  json.RawMessage `json:"Labels"`
	Comment string          `json:"Comment"`
}

func (d *decoder) user(user int64) (gorseUser, bool, *Problem) {
	directory, problem := d.directory()
	if problem != nil {
		return gorseUser{}, false, problem
	}
	profile, ok, err := directory.Profile(d.request.Context(), user)
	if err != nil {
		return gorseUser{}, false, unavailable(err)
	}
	return gorseUser{idText(user), rawOrNull(profile.Labels), profile.Comment}, ok, nil
}

// getUser finds a user who has a profile, or did something.
func (d *decoder) getUser() (any, *Problem) {
	id, problem := d.id("user")
	if problem != nil {
		return nil, problem
	}
	user, found, problem := d.user(id)
	if problem != nil || found {
		return user, problem
	}
	did, problem := d.feedbackOf(id)
	if problem != nil {
		return nil, problem
	}
	if len(did) == 0 {
		return nil, Problemf(http.StatusNotFound, "nothing is known of user %d; POST /api/user or feedback makes the user known", id)
	}
	return user, nil
}

// getUsers is a page of the users who have a profile or a rating, in the order of
// the store.
func (d *decoder) getUsers() (any, *Problem) {
	n, problem := d.n()
	if problem != nil {
		return nil, problem
	}
	after, problem := d.cursor()
	if problem != nil {
		return nil, problem
	}
	ids, problem := d.usersAfter(after, n)
	if problem != nil {
		return nil, problem
	}
	page := struct {
		Cursor string
		Users  []gorseUser
	}{Users: []gorseUser{}}
	for _, id := range ids {
		user, _, problem := d.user(id)
		if problem != nil {
			return nil, problem
		}
		page.Users = append(page.Users, user)
	}
	if len(ids) == n {
		page.Cursor = idText(ids[n-1])
	}
	return page, nil
}

// knownItems are the movies that a user rated, tagged or viewed.
func (d *decoder) knownItems() (any, *Problem) {
	all, problem := d.userFeedback()
	if problem != nil {
		return nil, problem
	}
	items := []string{}
	for _, f := range all { // by movies
		if len(items) == 0 || items[len(items)-1] != f.ItemID {
			items = append(items, f.ItemID)
		}
	}
	return items, nil
}
