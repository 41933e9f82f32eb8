;; Imports a WASI from before 0.2.
;; must: import-refused
(component
  (import "wasi:cli/stdout@0.2.0-rc-2023-11-10" (instance))
  (core module $m (func (export "attack")))
  (core instance $i (instantiate $m))
  (func (export "attack") (canon lift (core func $i "attack"))))
