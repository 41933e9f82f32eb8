;; Answers 900,000 sets of 32 flags, which the host keeps as 29 million strings.
;; must: skill-output
(component
  (type $all (flags "a" "b" "c" "d" "e" "f" "g" "h" "i" "j" "k" "l" "m" "n" "o" "p" "q" "r" "s" "t" "u" "v" "w" "x"
    "y" "z" "aa" "bb" "cc" "dd" "ee" "ff"))
  (import "letters" (type $flags (eq $all)))
  (core module $m
    (memory (export "memory") 60)
    (func (export "attack") (result i32)
      (memory.fill (i32.const 64) (i32.const 0xff) (i32.const 3600000))
      (i32.store (i32.const 0) (i32.const 64))
      (i32.store (i32.const 4) (i32.const 900000))
      (i32.const 0)))
  (core instance $i (instantiate $m))
  (func (export "attack") (result (list $flags))
    (canon lift (core func $i "attack") (memory (core memory $i "memory")))))
