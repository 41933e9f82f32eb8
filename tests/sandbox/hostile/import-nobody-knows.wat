;; Imports what no sandbox has.
;; must: import-refused
(component
  (import "evil:corp/root@1.0.0" (instance (export "own-the-host" (func))))
  (core module $m (func (export "attack")))
  (core instance $i (instantiate $m))
  (func (export "attack") (canon lift (core func $i "attack"))))
