;; A core module, not a component. The refusal names the command that wraps it.
;; must: not-a-component
(module (func (export "attack")))
