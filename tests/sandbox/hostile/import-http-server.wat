;; Imports the server's side of HTTP, which would be calling itself.
;; must: import-refused
(component
  (import "wasi:http/incoming-handler@0.2.0" (instance))
  (core module $m (func (export "attack")))
  (core instance $i (instantiate $m))
  (func (export "attack") (canon lift (core func $i "attack"))))
