package netconnection

var Follow = follow
