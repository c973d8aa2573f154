// Package sweep sends every route everything that its declaration forbids, and much that it does
// not mention. It is made of the declarations, so a new route is swept without a new test.
package sweep
