;; Exports a component and a core module instead of functions.
;; must: not-a-component
(component
  (component $c)
  (core module $m (func (export "attack")))
  (export "attack" (component $c))
  (export "code" (core module $m)))
