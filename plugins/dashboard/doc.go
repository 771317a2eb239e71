// Package dashboard is the output dashboard: it keeps rolling aggregates of the
// messages it is given, and serves a live page of them.
//
// The page is in web/. Its chart library is built from Apache ECharts by
// web/build; everything is in the binary and nothing is fetched from elsewhere.
package dashboard
