package client

var Follow = follow
