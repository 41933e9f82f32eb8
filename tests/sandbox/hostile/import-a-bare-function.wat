;; Imports a function that belongs to no interface.
;; must: import-refused
(component
  (import "own-the-host" (func))
  (core module $m (func (export "attack")))
  (core instance $i (instantiate $m))
  (func (export "attack") (canon lift (core func $i "attack"))))
