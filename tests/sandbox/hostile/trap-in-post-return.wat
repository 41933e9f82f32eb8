;; Answers, and traps while it cleans up: the answer does not count.
;; must: skill-trapped
(component
  (core module $m
    (func (export "attack") (result i32) (i32.const 1))
    (func (export "after") (param i32) (unreachable)))
  (core instance $i (instantiate $m))
  (func (export "attack") (result u32)
    (canon lift (core func $i "attack") (post-return (core func $i "after")))))
