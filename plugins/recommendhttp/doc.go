// Package recommendhttp is the input recommend_http: the recommender on HTTP.
// What the routes are is in internal/api; here are the server, and the way of a
// request through a pipeline and back.
package recommendhttp
