;; A component that exports nothing.
;; must: nothing-callable
(component
  (core module $m (func (export "attack")))
  (core instance (instantiate $m)))
