module cluster.test/sidecar

go 1.26
