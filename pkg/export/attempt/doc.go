// Package attempt runs exports: one attempt reads the rows of a list in a snapshot, writes them
// through a format into a file on this machine, and has the store keep that file.
//
// An attempt may end anywhere: its worker can be killed, its lease lost, its job cancelled.
// Nothing it does counts until the transaction that ends the job as a success, and each attempt
// writes under an object key that no other one uses. So an attempt never has to know whether it
// is still the current one, and what it leaves behind is the clean-up's business (folder
// retention).
package attempt
