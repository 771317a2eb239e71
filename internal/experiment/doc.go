// Package experiment compares model versions on live traffic: which users a
// challenger serves, and what the ratings that come in say about champion and
// challengers, in bounded memory and without a fixed end.
//
// # What is compared
//
// Of every rating that arrives, all versions of the line-up have said before what
// it would be. The difference of their squared errors, champion's minus
// challenger's, is above 0 where the challenger was better. Ratings of one user
// are not independent, and users who rate much are not worth more than others. So:
//
//   - a user's ratings of one period (a UTC day) make one value, the mean of the
//     differences, clipped to [-1, 1];
//   - a period of a user is closed, once, when the user's next one begins, or when
//     the user's partition of the topic has gone on for an hour after its end (a 24th
//     of another period); what arrives for it later is ignored. An open period counts
//     for nothing. Partitions have clocks of their own, because one that is read
//     later than another, when the topic is read again, is not late;
//   - a user's value is the mean of the closed periods' values, and the gain is the
//     mean over users, each counting the same.
//
// A period is a window of the time of requests, not of a user's session: when it
// closes does not depend on what is in it, which would be a way to choose results.
// A stream in which no day ends, such as a simulation of minutes, needs a shorter
// period; all that is lost is that a user's value has fewer ratings.
//
// # When something is settled
//
// The interval around the gain is an asymptotic confidence sequence (Waudby-Smith,
// Arbour, Sinha, Kennedy and Ramdas 2024, "Time-uniform central limit theory and
// asymptotic confidence sequences", Annals of Statistics 52, theorem 2.2, with the
// running variance of the users' values, and Student's quantiles): with probability 1 - α it holds the true
// gain at all times at once, so that looking after every user, and stopping at the
// first moment at which it does not hold 0, is right. It is tightest at about 100
// users and says nothing below 30. That theorem is about values that do not change,
// and a user's value does, while the user comes back: for users who come for a
// bounded time the difference vanishes, and tests simulate both those and a crowd
// that comes every day.
//
// Beside it stands an e-value (Waudby-Smith and Ramdas 2024, "Estimating means of
// bounded random variables by betting", JRSS B 86): what a gambler has who began
// with 1 and bets that the gain is above 0, or below, half of the money each, by
// aGRAPA (section 5.3 there). It needs no approximation, as every user enters it
// once, with the first closed period: that it ever exceeds 1/α has a probability of
// at most α if there is no difference. It is slower; nothing is decided by it.
package experiment
