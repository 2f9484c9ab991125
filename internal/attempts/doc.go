// Package attempts bounds how often an address may fail to prove who it is. Those who prove it are not
// counted, however many they are. It also bounds the connections of those who have not proved it yet.
package attempts
