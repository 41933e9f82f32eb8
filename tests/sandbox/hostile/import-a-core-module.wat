;; Imports a core module, which only an embedder could give it.
;; must: import-refused
(component
  (import "code" (core module $code (export "attack" (func))))
  (core instance $i (instantiate $code))
  (func (export "attack") (canon lift (core func $i "attack"))))
