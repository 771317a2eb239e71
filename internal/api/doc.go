// Package api is the recommender on HTTP, without a server: the table of routes,
// how a request becomes the messages that travel on Kafka too, how their replies
// become an answer, and the OpenAPI document of it all.
//
// The paths and the short shapes of replies are Gorse's
// (https://github.com/gorse-io/gorse), for which client programs exist; its
// mistakes (text/plain errors, n=-1 for everything, empty ids) are not.
package api
