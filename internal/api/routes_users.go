package api

import "net/http"

var feedbackType = Param{Name: "type", In: "path", Type: "string", Description: "rate, tag or view; read, click and watch are view.", Enum: []string{"rate", "tag", "view", "read", "click", "watch"}}

// feedbackCursor is a user and how much of that user's feedback was given.
var feedbackCursor = Param{Name: "cursor", In: "query", Type: "string", Description: cursor.Description, Pattern: `^([0-9]{1,18}\.[0-9]{1,9})?$`}

// userRoutes tell what users did, and change users.
var userRoutes = []*Route{
	{
		Method: http.MethodGet, Path: "/api/feedback", Kind: Direct, Scope: Read, Summary: "What all users did, user after user in the store's order",
		Params: []Param{page[0], feedbackCursor}, Reply: "FeedbackPage", direct: (*decoder).allFeedback,
	},
	{
		Method: http.MethodGet, Path: "/api/feedback/{type}", Kind: Direct, Scope: Read, Summary: "The same of one type",
		Params: []Param{feedbackType, page[0], feedbackCursor}, Reply: "FeedbackPage", direct: (*decoder).allFeedback,
	},
	{
		Method: http.MethodGet, Path: "/api/feedback/{user}/{movie}", Kind: Direct, Scope: Read, Summary: "What a user did with a movie",
		Params: []Param{user, movie}, Reply: "Feedback", direct: (*decoder).getUserFeedback,
	},
	{
		Method: http.MethodGet, Path: "/api/feedback/{type}/{user}/{movie}", Kind: Direct, Scope: Read, Summary: "The newest of one type",
		Params: []Param{feedbackType, user, movie}, Reply: "OneFeedback", direct: (*decoder).oneFeedback,
	},
	{
		Method: http.MethodDelete, Path: "/api/feedback/{user}/{movie}", Kind: Feedback, Scope: Write, Summary: "Takes a user's rating of a movie back; views and tags stay",
		Params: []Param{user, movie}, Reply: "RowAffected", decode: (*decoder).unrate,
	},
	{
		Method: http.MethodDelete, Path: "/api/feedback/{type}/{user}/{movie}", Kind: Feedback, Scope: Write, Summary: "The same; only of type rate",
		Params: []Param{{Name: "type", In: "path", Type: "string", Description: "rate.", Enum: []string{"rate"}}, user, movie}, Reply: "RowAffected", decode: (*decoder).unrate,
	},
	{
		Method: http.MethodGet, Path: "/api/user/{user}/feedback", Kind: Direct, Scope: Read, Summary: "What a user did, by movies",
		Params: []Param{user}, Reply: "Feedback", direct: (*decoder).getUserFeedback,
	},
	{
		Method: http.MethodGet, Path: "/api/user/{user}/feedback/{type}", Kind: Direct, Scope: Read, Summary: "The same of one type",
		Params: []Param{user, feedbackType}, Reply: "Feedback", direct: (*decoder).getUserFeedback,
	},
	{
		Method: http.MethodGet, Path: "/api/user/{user}/known-items", Kind: Direct, Scope: Read, Summary: "The movies that a user rated, tagged or viewed",
		Params: []Param{user}, Reply: "KnownItems", direct: (*decoder).knownItems,
	},
	{
		Method: http.MethodGet, Path: "/api/user/{user}", Kind: Direct, Scope: Read, Summary: "A user who has a profile or did something",
		Params: []Param{user}, Reply: "User", direct: (*decoder).getUser,
	},
	{
		Method: http.MethodGet, Path: "/api/users", Kind: Direct, Scope: Read, Summary: "The users who have a profile or a rating, in the store's order",
		Params: []Param{page[0], cursor}, Reply: "Users", direct: (*decoder).getUsers,
	},
	{
		Method: http.MethodPost, Path: "/api/user", Kind: Feedback, Scope: Write, Summary: "Adds a user, or says all of one's profile anew; durable before the answer",
		Body: "NewUser", Reply: "RowAffected", decode: (*decoder).users, one: true,
	},
	{
		Method: http.MethodPost, Path: "/api/users", Kind: Feedback, Scope: Write, Summary: "The same for many users",
		Body: "UserList", Reply: "RowAffected", decode: (*decoder).users,
	},
	{
		Method: http.MethodPatch, Path: "/api/user/{user}", Kind: Feedback, Scope: Write, Summary: "Changes what the body names of a user's profile",
		Params: []Param{user}, Body: "User", Reply: "RowAffected", decode: (*decoder).patchUser, merges: true,
	},
	{
		Method: http.MethodDelete, Path: "/api/user/{user}", Kind: Feedback, Scope: Write, Summary: "Forgets a user: all that the user did until now, and the profile",
		Params: []Param{user}, Reply: "RowAffected", decode: (*decoder).forgetUser,
	},
}
