;; Answers half a surrogate pair as a character.
;; must: skill-trapped
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 16) "")
    (func (export "attack") (result i32) (i32.const 0xd800)))
  (core instance $i (instantiate $m))
  (func (export "attack") (result char)
    (canon lift (core func $i "attack") (memory (core memory $i "memory")))))
