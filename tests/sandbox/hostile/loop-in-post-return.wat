;; The tool answers, and its cleaning up never ends.
;; must: skill-deadline
(component
  (core module $m
    (func (export "attack") (result i32) (i32.const 1))
    (func (export "after") (param i32) (loop (br 0))))
  (core instance $i (instantiate $m))
  (func (export "attack") (result u32)
    (canon lift (core func $i "attack") (post-return (core func $i "after")))))
